"""Tables in memory, by the Arrow C data interface: whichever library holds them, they are the same data."""

import datetime
from types import SimpleNamespace

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unisid.api.tables import arrow_table, path_of, rows_of
from unisid.artifacts.store import Place, Store
from unisid.errors import DataError

COLUMNS = {"item_id": ["007", "12"], "title": ["gel pen", None], "price": [1.5, 2.0]}
ARROW = pa.table(COLUMNS)


class Foreign:
    """A table of a library that the product does not import."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


KINDS = {
    "arrow": lambda: ARROW,
    "batch": lambda: ARROW.to_batches()[0],
    "reader": lambda: ARROW.to_reader(),
    "polars": lambda: pl.DataFrame(COLUMNS),
    "pandas": lambda: pd.DataFrame(COLUMNS),
    "foreign": lambda: Foreign(ARROW),
    "mapping": lambda: COLUMNS,
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_library_gives_the_same_rows(kind):
    assert arrow_table(KINDS[kind](), "items").to_pydict() == COLUMNS


def test_what_is_written_is_named_for_its_content_and_read_as_a_file(tmp_path):
    store = Store(Place.of(tmp_path))
    path = path_of(ARROW, store, "items")
    assert pq.read_table(path).to_pydict() == COLUMNS
    pieces = pa.concat_tables([ARROW.slice(0, 1), ARROW.slice(1)]).replace_schema_metadata({"pandas": "{}"})
    assert path_of(pieces, store, "items") == path
    assert path_of(ARROW.slice(1), store, "items") != path
    assert len(list((tmp_path / "tables").iterdir())) == 2
    assert path_of("s3://shop/items.csv", store, "items") == "s3://shop/items.csv"


def test_libraries_write_text_in_types_of_their_own_and_the_data_are_the_same(tmp_path):
    store = Store(Place.of(tmp_path))
    columns = COLUMNS | {"tags": [["a", "b"], []], "brand": ["Scribo", "Scribo"]}
    arrow = pa.table(columns)
    frame = pl.DataFrame(columns)
    forms = [
        arrow,
        arrow.set_column(4, "brand", arrow["brand"].dictionary_encode()),
        arrow.cast(
            pa.schema(
                [
                    ("item_id", pa.large_string()),
                    ("title", pa.string_view()),
                    ("price", pa.float64()),
                    ("tags", pa.large_list(pa.large_string())),
                    ("brand", pa.string()),
                ]
            )
        ),
        arrow.to_pandas(),
        frame,
        frame.with_columns(pl.col("brand").cast(pl.Categorical)),
    ]
    assert len({path_of(form, store, "items") for form in forms}) == 1


def test_rows_that_were_chosen_from_a_frame_bring_no_index_that_is_read_as_text(tmp_path):
    frame = pd.DataFrame(COLUMNS).iloc[[1]]
    found = arrow_table(frame, "items")
    assert found.column("item_id").to_pylist() == ["12"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([{"item_id": "1"}], "items: is of type list; must be a path, or a table of pandas, Polars or Arrow"),
        (7, "items: is of type int"),
        (pd.DataFrame({"item_id": ["a", 7, datetime.date.min]}), "items: cannot be read as an Arrow table"),
        ({"item_id": ["1", "2"], "title": ["x"]}, "items: cannot be read as an Arrow table"),
        (pa.array([1]), "items: cannot be read as an Arrow table"),
    ],
)
def test_what_is_no_table_is_refused(data, message):
    with pytest.raises(DataError, match=message):
        arrow_table(data, "items")


def test_columns_are_lists():
    for column in (
        ["a", "b"],
        ("a", "b"),
        pa.array(["a", "b"]),
        pa.chunked_array([["a"], ["b"]]),
        pd.Series(["a", "b"]),
        pl.Series(["a", "b"]),
        iter("ab"),
    ):
        assert rows_of(column, "users") == ["a", "b"]
    assert rows_of(pl.Series([["a"], []]), "histories") == [["a"], []]
    for wrong in ("ab", b"ab", {"a": 1}, 7, SimpleNamespace()):
        with pytest.raises(DataError, match="users: is .*; must be a list"):
            rows_of(wrong, "users")


def test_runs_and_lists_of_one_size_are_read_as_what_they_hold(tmp_path):
    """Parquet holds no runs, and Arrow cannot read its own lists of one size where one is absent."""
    store = Store(Place.of(tmp_path))
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["Scribo", None]))
    of_lists = pa.RunEndEncodedArray.from_arrays(pa.array([1, 3], pa.int32()), pa.array([["a", None], ["b"]]))
    pairs = pa.array([["a", "b"], None, [None, "c"]], pa.list_(pa.string_view(), 2))
    codes = pa.DictionaryArray.from_arrays(pa.array([0, None, 0], pa.int8()), pa.array([["a", None]]))
    found = pq.read_table(path_of(pa.table({"r": runs, "l": of_lists, "p": pairs, "c": codes}), store, "items"))
    assert found["r"].to_pylist() == ["Scribo", "Scribo", None]
    assert found["l"].to_pylist() == [["a", None], ["b"], ["b"]]
    assert found["p"].to_pylist() == [["a", "b"], None, [None, "c"]]
    assert found["c"].to_pylist() == [["a", None], None, ["a", None]]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([(1, 1, 1)] * 2, pa.month_day_nano_interval()),
        pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array(["a", "b"]), pa.array([1, 2])]),
        pa.StructArray.from_arrays(
            [pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array(["a"]))], ["x"]
        ),
    ],
    ids=lambda column: str(column.type),
)
def test_a_column_that_parquet_lacks_is_named(column, tmp_path):
    with pytest.raises(
        DataError, match=r"^items, column 'odd': cannot be written as Parquet .*; leave that column out"
    ):
        path_of(pa.table({"item_id": ["1", "2"], "odd": column}), Store(Place.of(tmp_path)), "items")
