"""Lists as rows of a matrix, as pandas writes it: what is a place, whose list it is, and lists that end early."""

import pandas as pd
import pyarrow as pa
import pytest

from unisid.errors import DataError
from unisid.judging.tables import read_table
from unisid.judging.wide import index_of, places
from unisid.raw.folders import Found

LISTS = pd.DataFrame([["i1", "i2", "i3"], ["i3", "i1", None]], index=["u1", "u2"])
ENTRIES = {"user": ["u1", "u1", "u1", "u2", "u2"], "item": ["i1", "i2", "i3", "i3", "i1"]}


def read(path, names=None):
    return read_table(Found(str(path)), names or {}, pa.array(["u1", "u2"])).to_pydict()


def test_places_count_from_0_or_1_without_a_gap():
    assert places(["user_id", "2", "0", "1"]) == ["0", "1", "2"]
    assert places(["1", "2", "who"]) == ["1", "2"]
    assert places(["user_id", "1", "3"]) == places(["user_id", "2", "3"]) == places(["user_id"]) == []
    assert index_of(["who", "0", "1"], ["0", "1"]) == "who"
    assert index_of(["", "0"], ["0"]) is index_of(["a", "b", "0"], ["0"]) is None


def test_a_matrix_is_its_lists_in_every_form(tmp_path):
    LISTS.to_csv(tmp_path / "a.csv", index_label="user_id")
    LISTS.to_csv(tmp_path / "b.tsv", sep="\t", index_label="who")
    LISTS.rename(columns=str).astype("category").to_parquet(tmp_path / "c.parquet")
    numbers = pd.DataFrame([[1, 2, 3], [3, 1, None]], index=["u1", "u2"]).rename(columns=str)
    numbers.to_parquet(tmp_path / "d.parquet")
    for name in ("a.csv", "b.tsv", "c.parquet"):
        assert read(tmp_path / name) == ENTRIES
    assert read(tmp_path / "d.parquet")["item"] == ["1", "2", "3", "3", "1"]
    assert read(tmp_path / "b.tsv", {"user": "who"}) == ENTRIES


def test_a_matrix_without_users_is_refused_with_the_remedy(tmp_path):
    LISTS.to_csv(tmp_path / "a.csv")
    with pytest.raises(DataError, match="no column of the user; it has: , 0, 1, 2; .* names its index by index_label"):
        read(tmp_path / "a.csv")


def test_what_is_no_id_at_a_place_is_refused(tmp_path):
    pd.DataFrame({"user_id": ["u1"], "0": [True]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="column '0': holds bool; ids must be strings or whole numbers"):
        read(tmp_path / "a.parquet")
