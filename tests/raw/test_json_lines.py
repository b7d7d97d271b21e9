"""Lines of JSON: items with texts of any shape, interactions fast and slow, errors that name the line."""

import gzip
import json

import pytest

from tests.datasets.reading import read_all
from unisid.datasets import tables
from unisid.errors import DataError
from unisid.raw import files, json_lines
from unisid.raw.rows import unread_of

ITEMS = [
    {
        "item_id": 7,
        "title": "Pen",
        "description": ["Blue.", None, "Fine."],
        "categories": [["Art", "Pens"], ["Desk"]],
        "price": 1.5,
        "details": {"Brand": "P"},
    },
    {"item_id": 8, "title": None, "description": "one text", "images": [], "extra": "late"},
]
ROWS = [{"user_id": "ann", "item_id": 7, "timestamp": 1500000000, "rating": 5}] * 2


def lines(rows):
    return "".join(f"{json.dumps(row)}\n" for row in rows)


GIVEN, HAPPENED = lines(ITEMS), lines(ROWS)


@pytest.fixture
def config(tmp_path):
    def write(items=GIVEN, rows=HAPPENED, **settings):
        for name, data in (("items.jsonl", items), ("rows.json", rows)):
            (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        paths = {"items": str(tmp_path / "items.jsonl"), "interactions": str(tmp_path / "rows.json")}
        return tables.Config(**(paths | settings))

    return write


def test_texts_of_any_shape_are_joined(config):
    dataset = config().build()
    items = dataset.read(dataset.parts()[0])
    assert items.to_pylist() == [
        {"item_id": "7", "title": "Pen", "description": "Blue. Fine.", "categories": "Art Pens Desk", "extra": ""},
        {"item_id": "8", "title": "", "description": "one text", "categories": "", "extra": "late"},
    ]
    assert unread_of(items) == ({"price": "numbers", "details": "objects", "images": "nothing"}, False)
    named = read_all(config(columns=("price", "extra")))[0]
    assert named[0] == {"item_id": "7", "title": "Pen", "price": "1.5", "extra": ""}


def test_interactions_are_read_fast_and_slowly_alike(config):
    expected = [{"user_id": "ann", "item_id": "7", "timestamp": 1500000000}] * 2
    assert read_all(config())[1] == expected
    assert read_all(config(rows="\n" + lines(ROWS) + "\n\n"))[1] == expected
    mixed = [*ROWS, {"user_id": 5, "item_id": 2**70, "timestamp": 1500000006}]
    assert read_all(config(rows=lines(mixed)))[1] == [
        *expected,
        {"user_id": "5", "item_id": str(2**70), "timestamp": 1500000006},
    ]


def test_the_types_of_all_blocks_become_one(config, monkeypatch):
    whole = files.blocks
    monkeypatch.setattr(json_lines, "blocks", lambda path: whole(path, 60))
    rows = [{"user_id": user, "item_id": 7, "timestamp": 5} for user in (1, "two", 3.0, 4)]
    assert [row["user_id"] for row in read_all(config(rows=lines(rows)))[1]] == ["1", "two", "3", "4"]
    with pytest.raises(DataError, match=r"rows.json, column 'user_id', line 4: the id is missing"):
        read_all(config(rows=lines([*rows[:3], {"item_id": 7, "timestamp": 5}])))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_marks_and_compression(config, encoding, pack):
    text = lines([{"item_id": "a", "title": "caf\u00e9"}]).replace("\\u00e9", "\u00e9")
    assert read_all(config(items=pack(text.encode(encoding))))[0][0]["title"] == "caf\u00e9"
    latin = read_all(config(items=pack(text.encode("latin-1")), encoding="latin-1"))
    assert latin[0][0]["title"] == "caf\u00e9"
    with pytest.raises(DataError, match=r"items.jsonl, line 1: is not UTF-8 .* set catalog.dataset.encoding"):
        read_all(config(items=pack(text.encode("latin-1"))))


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (lines(ITEMS) + '\n{"item_id": ', r"items.jsonl, line 4: is not a whole object"),
        (lines(ITEMS) + "[1, 2]\n", r"items.jsonl, line 3: must be an object of fields"),
        ("[" + json.dumps(ITEMS[0]) + "]", r"items.jsonl, line 1: must be an object of fields.*one object a line"),
        (
            json.dumps(ITEMS, indent=1),
            r"items.jsonl, line 1: is not a whole object.*one object must stand on each line: `jq -c '.\[\]'` makes",
        ),
        ("\n".join(json.dumps(row, indent=1) for row in ITEMS), r"items.jsonl, line 1: .* line: `jq -c .` makes"),
        (
            '{"7": {"title": "Pen"}, "8": {"title": "Ink"}}',
            r"no column 'item_id'; it has: 7, 8; each row must be an obj",
        ),
        (
            lines([{"item_id": 1, "Title": "x"}] * 2),
            r"no column 'title'; did you mean 'Title'\?; it has: item_id, Title",
        ),
        (lines([{"item_id": ["a", "b"], "title": "x"}]), r"column 'item_id': holds list<item: string>; ids must be"),
        (lines([{"item_id": 1.5e17, "title": "x"}]), r"line 1: 1.5e\+17 is beyond 2\^53"),
        (lines([{"item_id": 1, "title": {"en": "x"}}]), r"field 'title': holds objects; text must be strings"),
        ('{"item_id": "\x1b[2J', r"is not a whole object"),
    ],
)
def test_what_cannot_be_read_is_named(config, items, message):
    with pytest.raises(DataError, match=message) as found:
        read_all(config(items=items))
    assert str(found.value).isprintable()


def test_a_row_a_user_is_refused(config):
    with pytest.raises(DataError, match=r"rows.json, column 'item_id': holds list<.*one in a row"):
        read_all(config(rows=lines([{"user_id": "a", "item_id": [7, 8], "timestamp": [1, 2]}])))


@pytest.mark.parametrize("data", ["", "\n\n"])
def test_empty_files(config, data):
    with pytest.raises(DataError, match=r"items.jsonl: is empty"):
        read_all(config(items=data))


def test_what_programs_write_for_absent_numbers_is_absent(config):
    """Python and JavaScript's neighbours write NaN, which is no id that users share."""
    rows = lines(ROWS) + '{"user_id": NaN, "item_id": 7, "timestamp": 1500000000}\n'
    with pytest.raises(DataError, match=r"rows.json, column 'user_id', line 3: the id is missing \(1 such rows\)"):
        read_all(config(rows=rows))
    items = GIVEN + '{"item_id": 9, "title": NaN, "description": [NaN, "a", -Infinity]}\n'
    found = read_all(config(items=items))[0][2]
    assert found.pop("categories") == found.pop("extra") == ""
    assert found == {"item_id": "9", "title": "", "description": "a"}


def test_half_a_character_is_refused_by_its_line(config):
    items = GIVEN + '{"item_id": 9, "title": "\\ud83d\\ude00"}\n{"item_id": 10, "title": "cut \\uD83D"}\n'
    with pytest.raises(DataError, match=r"items.jsonl, line 4: is not a whole object .*encode character"):
        read_all(config(items=items))
