"""Rows without a header are user, item and score; what may be ranks is refused."""

import pyarrow as pa
import pytest

from unisid.errors import DataError
from unisid.judging.tables import columns, known_as, read_table
from unisid.raw.folders import Found

USERS = pa.array(["u1", "u2"])


def read(path, text):
    (path / "a.csv").write_text(text)
    return read_table(Found(str(path / "a.csv")), {}, USERS).to_pydict()


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_rows_without_a_header_are_user_item_and_score(tmp_path, separator):
    rows = [("u1", "i1", "0.5"), ("u1", "i2", "0.7"), ("u2", "i1", "-1e-3")]
    found = read(tmp_path, "\n".join(separator.join(row) for row in rows))
    assert found == {"user": ["u1", "u1", "u2"], "item": ["i1", "i2", "i1"], "score": [0.5, 0.7, -0.001]}
    assert read(tmp_path, "\n".join(separator.join(row[:2]) for row in rows))["item"] == ["i1", "i2", "i1"]


@pytest.mark.parametrize("first", [0, 1])
def test_ranks_without_a_header_are_refused(tmp_path, first):
    with pytest.raises(DataError, match="its third column counts each user's rows, as ranks do"):
        read(tmp_path, f"u1,i1,{first}\nu2,i1,{first}\nu1,i2,{first + 1}\n")
    assert read(tmp_path, f"u1,i1,{first + 1}\nu1,i2,{first}\n")["score"] == [first + 1, first]


def test_a_first_line_that_is_neither_is_refused_with_what_would_be_read(tmp_path):
    with pytest.raises(DataError, match="no column of the user; it has: u9, i1, 0.5; .* begin with a user of the cat"):
        read(tmp_path, "u9,i1,0.5\n")
    with pytest.raises(DataError, match="no column of the user; it has: u1, i1, 0.5, x"):
        read(tmp_path, "u1,i1,0.5,x\n")
    with pytest.raises(DataError, match="no column of the item; it has: user_id, 5"):
        read(tmp_path, "user_id,5\nu1,i1\n")
    with pytest.raises(DataError, match="must hold numbers"):
        read(tmp_path, "u1,i1,high\n")


def test_columns_are_known_by_names_with_types_too(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"uid": 1, "items": [2]}\n')
    given = columns(str(tmp_path / "a.jsonl"))
    assert (given, known_as("user", given), known_as("score", given)) == (["uid", "items"], "uid", "")
    assert known_as("item", ["item_id:token"]) == "item_id:token"
