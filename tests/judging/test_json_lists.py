"""Lists as JSON that is no table: an object of lists by user, and answers of cornac's server."""

import json

import pyarrow as pa
import pytest

from unisid.errors import DataError
from unisid.judging.json_lists import is_answers, is_by_user, read_answers, read_by_user
from unisid.judging.lists import read_lists

USERS = pa.array(["196", "u 2"])
LISTS = {"u 2": ["i1", "i2"], "196": [3, "i1"]}
ENTRIES = {"user": ["u 2", "u 2", "196", "196"], "item": ["i1", "i2", "3", "i1"]}


def answer(user, items):
    return {"recommendations": items, "query": {"uid": user, "k": 2, "remove_seen": True}}


@pytest.mark.parametrize("indent", [None, 2])
def test_an_object_of_lists_is_read_by_user(tmp_path, indent):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(LISTS, indent=indent))
    assert is_by_user(str(path), USERS)
    assert not is_by_user(str(path), pa.array(["others"]))
    assert not is_answers(str(path))
    assert read_by_user(str(path)).to_pydict() == ENTRIES


@pytest.mark.parametrize("sort", [False, True])  # Flask sorts the fields of what it sends
def test_answers_of_cornacs_server_are_read_line_by_line(tmp_path, sort):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps(answer(*each), sort_keys=sort) for each in LISTS.items()) + "\n\n")
    assert is_answers(str(path))
    assert not is_by_user(str(path), USERS)
    assert read_answers(str(path)).to_pydict() == ENTRIES


@pytest.mark.parametrize(
    "text", ['{"user_id": "196", "items": ["i1"]}\n', '[{"predict": ["<a_1>"]}]', "196,i1\n", '{"1']
)
def test_tables_are_neither(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    assert not is_by_user(str(path), USERS)
    assert not is_answers(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"196": ["i1"', "is no JSON .*; must be one object, user -> list of items"),
        ('{"196": ["i1"]}\n{"u 2": ["i1"]}', "is no JSON"),
        ('{"196": ["i1"], "196": ["i2"]}', "user '196' stands in it twice; give each user one list"),
        ('{"196": ["i1"], "u 2": "i1"}', "user 'u 2': holds 'i1'; must be a list of items' ids, best first"),
        ('{"196": [["i1", 0.5]]}', "user '196': holds .*; must be a list of items' ids, best first"),
        ('{"196": [true]}', "must be a list of items' ids"),
    ],
)
def test_an_object_of_anything_else_is_refused(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    assert is_by_user(str(tmp_path / "a.json"), USERS)
    with pytest.raises(DataError, match=message):
        read_by_user(str(tmp_path / "a.json"))


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (
            {"recommendations": ["i1"], "query": {"k": 2}},
            "line 2: has no query.uid; must be an answer of cornac's /rec",
        ),
        ({"recommendations": ["i1"]}, "line 2: has no query.uid"),
        (answer("u 2", None), "line 2: holds 'None'; must be a list of items' ids"),
    ],
)
def test_a_line_that_is_no_answer_is_refused(tmp_path, second, message):
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(answer('196', ['i1']))}\n{json.dumps(second)}\n")
    with pytest.raises(DataError, match=message):
        read_answers(str(tmp_path / "a.jsonl"))


def test_both_are_told_by_their_content_among_lists(catalog, tmp_path):
    (tmp_path / "a").write_text(json.dumps({"3": ["item 4", "item 1"]}))
    (tmp_path / "b").write_text(json.dumps(answer("3", ["item 4", "item 1"])))
    for name in ("a", "b"):
        found = read_lists(str(tmp_path / name), catalog)
        assert (found.user.tolist(), found.item.tolist(), found.order) == ([3, 3], [4, 1], "row")
