"""Columns by name, as errors name them; further texts beside a catalogue's own names."""

import pyarrow as pa
import pytest

from unisid.errors import DataError
from unisid.raw import columns
from unisid.raw.rows import Numbered


def test_a_column_that_is_absent_is_named_with_those_that_are_there():
    table = pa.table({"item": [1], "title": ["a"]})
    with pytest.raises(DataError, match=r"x.csv: no column 'items'; did you mean 'item'\?; it has: item, title, or so"):
        columns.require(table, ["title", "items"], "x.csv", {"items": ", or so"})
    assert columns.column(table, "item", "x.csv").to_pylist() == [1]


def test_a_name_that_two_columns_have_is_refused():
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])
    with pytest.raises(DataError, match="x.csv: 2 columns are called 'a'; give each a name of its own"):
        columns.column(table, "a", "x.csv")


def test_kinds_of_interactions_are_trimmed_and_absent_ones_empty():
    table = pa.table({"what": [" view", None, "buy "]})
    assert columns.kinds(table, "what", "x.csv")["event"].to_pylist() == ["view", "", "buy"]
    assert columns.kinds(table, "", "x.csv") == {}


@pytest.mark.parametrize("values", [[True], [[1]], [{"year": 2020}]], ids=["truth", "list", "struct"])
def test_what_holds_no_times_is_refused_by_its_type(values):
    with pytest.raises(
        DataError, match=r"x.csv, column 't': holds .*; times must be numbers, dates, timestamps or text"
    ):
        columns.clock_of(pa.chunked_array([values]), "x.csv, column 't'")


def test_further_texts_keep_out_of_the_way_of_the_catalogues_own_columns():
    table = pa.table({"id": [7], "name": ["a"], "text": ["b"], "shade": pa.nulls(1), "price": pa.nulls(1, pa.int64())})
    items = columns.item_table(table, "x.csv", "id", "name", ["text", "shade", "price"], Numbered())
    assert items.select(["item_id", "title", "source_text"]).to_pylist() == [
        {"item_id": "7", "title": "a", "source_text": "b"}
    ]
    assert [items[name].type for name in ("shade", "price")] == [pa.null(), pa.null()]
