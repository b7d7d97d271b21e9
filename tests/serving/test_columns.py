"""The shop's own columns beside the catalogue's: by item, in types that rules compare."""

import dataclasses
import datetime
import decimal
import gzip

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from unisid.errors import DataError
from unisid.serving.columns import Columns, read_table


@dataclasses.dataclass(frozen=True)
class Shop:
    """What columns read of a catalogue."""

    item_ids = pa.array(["a", "b", "c"])
    titles = pa.array(["A", "B", "C"])


def test_without_a_table_there_are_ids_and_titles():
    found = Columns.of(Shop())
    assert {name: each.to_pylist() for name, each in found.values.items()} == {
        "item_id": ["a", "b", "c"],
        "title": ["A", "B", "C"],
    }
    assert found.items("title == 'B'").tolist() == [False, True, False]


def test_rows_are_put_beside_their_items():
    table = pa.table(
        {"item_id": ["c", "gone", None, "a"], "price": [3.0, 9.0, 8.0, float("nan")], "title": list("wxyz")}
    )
    found = Columns.of(Shop(), table)
    assert found.values["price"].to_pylist() == [None, None, 3.0]
    assert found.values["title"].to_pylist() == ["A", "B", "C"], "the catalogue's own stays"
    assert (found.unknown, found.left) == (1, ())
    assert found.items("price > 0").tolist() == [False, False, True]
    assert Columns.of(Shop(), table.slice(0, 0)).unknown == 0


def test_numbers_as_ids_are_compared_as_text():
    class Numbers(Shop):
        item_ids = pa.array(["1", "2", "3"])

    found = Columns.of(Numbers(), pa.table({"item_id": [2, 3], "stock": [True, False]}))
    assert found.values["stock"].to_pylist() == [None, True, False]


@pytest.mark.parametrize(
    ("values", "kind", "found"),
    [
        (["x"], pa.dictionary(pa.int8(), pa.large_string()), "x"),
        (["x"], pa.string_view(), "x"),
        ([decimal.Decimal("1.50")], pa.decimal128(5, 2), 1.5),
        ([datetime.date(2026, 1, 31)], pa.date32(), "2026-01-31"),
        ([["x", None]], pa.large_list(pa.large_string()), ["x", None]),
        ([True], pa.bool_(), True),
        ([7], pa.uint8(), 7),
    ],
    ids=str,
)
def test_every_type_that_rules_compare(values, kind, found):
    table = pa.table({"item_id": ["a"], "it": pa.array(values, kind)})
    assert Columns.of(Shop(), table).values["it"].to_pylist() == [found, None, None]


@pytest.mark.parametrize("kind", [pa.binary(), pa.struct([("a", pa.int8())]), pa.list_(pa.list_(pa.int8()))], ids=str)
def test_what_no_rule_compares_is_left_and_named(kind):
    table = pa.table({"item_id": ["a"], "it": pa.nulls(1, kind)})
    found = Columns.of(Shop(), table)
    assert (found.left, "it" in found.values) == (("it",), False)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"sku": ["a"]}, "shop.csv: has the columns sku; must have 'item_id'"),
        ({"item_id": ["a", "b", "b"]}, "shop.csv: has the item 'b' more than once; must have a row an item"),
    ],
)
def test_a_table_of_another_form_is_refused(table, why):
    with pytest.raises(DataError, match=why):
        Columns.of(Shop(), pa.table(table), "shop.csv")


def test_a_table_is_read_from_parquet_and_csv(tmp_path):
    table = pa.table({"item_id": ["a", "b"], "price": [1, 2]})
    pq.write_table(table, tmp_path / "t.parquet")
    pyarrow.csv.write_csv(table, tmp_path / "t.csv")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    for name in ("t.parquet", "t.csv", "t.csv.gz"):
        assert read_table(str(tmp_path / name)).equals(table)
    (tmp_path / "bad.parquet").write_bytes(b"no table")
    for name in ("bad.parquet", "bad.csv.gz"):
        (tmp_path / name).write_bytes(b"no table")
        with pytest.raises(DataError, match=f"{name}: cannot be read as a table of items"):
            read_table(str(tmp_path / name))
