"""Delta Lake, Iceberg and Lance tables hold the same shop as Parquet files do, at the version they had when planned."""

import shutil
import sys

import deltalake
import lance
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.memory import InMemoryCatalog

from unisid.datasets import tables
from unisid.errors import DataError
from unisid.raw import lake
from unisid.raw.folders import find_tables

KINDS = ("delta", "iceberg", "lance")
ITEMS = pa.table({"item_id": [1, 2, 3, 4], "title": ["red", "green", "blue", "old"], "brand": ["x", None, "y", "z"]})
ROWS = pa.table(
    {
        "user_id": ["u", "u", "v", "v", "w"],
        "item_id": [1, 2, 3, 1, 4],
        "timestamp": pa.array([10, 20, 30, 40, 50], pa.timestamp("us", "UTC")),
        "country": ["de", "fr", "de", "a b/c", None],
    }
)


class Lake:
    """Tables of one kind in a folder."""

    def __init__(self, kind, folder):
        self.kind, self.folder, self.catalog = kind, folder, None
        if kind == "iceberg":
            self.catalog = InMemoryCatalog("shop", warehouse=f"file://{folder}")
            self.catalog.create_namespace("shop")

    def write(self, name, table, **more):
        """Append the rows; returns where the table lies."""
        uri = f"{self.folder}/{name}"
        if self.kind == "delta":
            deltalake.write_deltalake(uri, table, mode="append", **more)
        elif self.kind == "lance":
            lance.write_dataset(table, uri, mode="append" if (self.folder / name).exists() else "create")
        else:
            uri = f"{self.folder}/shop/{name}"
            held = self.catalog.create_table_if_not_exists(f"shop.{name}", schema=table.schema)
            held.append(table)
        return uri

    def delete(self, name, condition):
        if self.kind == "delta":
            deltalake.DeltaTable(f"{self.folder}/{name}").delete(condition)
        elif self.kind == "lance":
            lance.dataset(f"{self.folder}/{name}").delete(condition)
        else:
            self.catalog.load_table(f"shop.{name}").delete(condition)


@pytest.fixture(params=KINDS)
def shop(request, tmp_path):
    """Items in two commits, interactions in one."""
    found = Lake(request.param, tmp_path)
    found.items = found.write("items", ITEMS[:2])
    found.write("items", ITEMS[2:])
    found.interactions = found.write("interactions", ROWS)
    return found


def read(config):
    """The items, by id, and the interactions, by time, of a dataset."""
    dataset = config.build()
    parts = dataset.parts()
    items, rows = (
        pa.concat_tables([dataset.read(p) for p in parts if p["table"] == name]) for name in ("items", "interactions")
    )
    return items.sort_by("item_id").to_pydict(), rows.sort_by("timestamp").to_pydict()


def test_the_shop_is_that_of_parquet_files(shop, tmp_path):
    pq.write_table(ITEMS, tmp_path / "items.parquet")
    pq.write_table(ROWS, tmp_path / "rows.parquet")
    plain = tables.Config(items=str(tmp_path / "items.parquet"), interactions=str(tmp_path / "rows.parquet"))
    given = tables.Config(items=shop.items, interactions=shop.interactions)
    assert read(given) == read(plain)


def test_deleted_rows_are_gone_and_change_the_identity(shop):
    config = tables.Config(items=shop.items, interactions=shop.interactions)
    before = [found.digest() for found in config.build().sources()["interactions"]]
    assert before == [found.digest() for found in config.build().sources()["interactions"]]
    shop.delete("interactions", "item_id = 1")
    _, rows = read(config)
    assert rows["item_id"] == ["2", "3", "4"]
    assert before != [found.digest() for found in config.build().sources()["interactions"]]


def test_parts_are_read_at_the_version_they_were_planned_at(shop):
    dataset = tables.Config(items=shop.items, interactions=shop.interactions).build()
    parts = [part for part in dataset.parts() if part["table"] == "interactions"]
    shop.delete("interactions", "item_id = 1")
    shop.write("interactions", ROWS[:1])
    lake.opened.cache_clear()
    assert pc.sum(pa.chunked_array([[dataset.read(part).num_rows for part in parts]])).as_py() == ROWS.num_rows


def test_errors_name_the_table_and_the_row(shop):
    bad = shop.write("bad", ROWS.set_column(1, "item_id", pa.array([1, 2, None, 1, 4])))
    dataset = tables.Config(items=shop.items, interactions=bad).build()
    [part] = [part for part in dataset.parts() if part["table"] == "interactions"]
    with pytest.raises(
        DataError, match=rf"{shop.kind}\+.*bad.*@.*, column 'item_id', fragment 1, row 3: the id is missing"
    ):
        dataset.read(part)
    assert dataset.at(part, 4) == f"{part['path']}, fragment 1, row 5"


def test_partitions_are_columns(tmp_path):
    found = Lake("delta", tmp_path)
    uri = found.write("rows", ROWS, partition_by=["country"])
    config = tables.Config(items=found.write("items", ITEMS), interactions=uri, event="country")
    assert len(config.build().parts()) == 1 + 4
    _, rows = read(config)
    assert rows["event"] == ["de", "fr", "de", "a b/c", ""]


def test_renamed_columns_of_an_iceberg_table_are_read_by_their_new_names(tmp_path):
    found = Lake("iceberg", tmp_path)
    uri = found.write("items", ITEMS.rename_columns(["item_id", "name", "brand"]))
    with found.catalog.load_table("shop.items").update_schema() as change:
        change.rename_column("name", "title")
    [held] = find_tables("items", uri)
    assert lake.table_at(held.path).open().read(0, ["title"])["title"].to_pylist() == ITEMS["title"].to_pylist()
    [same] = find_tables("items", held.path.removeprefix("iceberg+").rpartition("@")[0])
    assert same == held


@pytest.mark.parametrize("kind", ["delta", "lance"])
def test_a_copy_is_the_same_data(kind, tmp_path):
    found = Lake(kind, tmp_path)
    uri = found.write("items", ITEMS)
    shutil.copytree(uri, tmp_path / "copy")
    [one], [two] = find_tables("items", uri), find_tables("items", str(tmp_path / "copy"))
    assert one.path != two.path
    assert one.digest() == two.digest()


def test_a_missing_package_is_named(shop, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == lake.PACKAGES[shop.kind]]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, lake.PACKAGES[shop.kind], None)
    with pytest.raises(DataError, match=rf"is {lake.CALLED[shop.kind]}; to read it, .* pip install 'unisid\[lake\]'"):
        tables.Config(items=shop.items, interactions=shop.interactions).build().parts()


def test_a_damaged_table_is_an_error_that_names_it(shop, tmp_path):
    names = {"delta": "*.json", "lance": "*.manifest", "iceberg": "*.metadata.json"}
    for path in tmp_path.rglob(names[shop.kind]):
        if "interactions" in str(path):
            path.write_bytes(b"{}")
    with pytest.raises(DataError, match=rf"{lake.CALLED[shop.kind]} that cannot be read"):
        tables.Config(items=shop.items, interactions=shop.interactions).build().parts()


def test_a_catalog_that_is_not_configured_is_an_error():
    with pytest.raises(DataError, match="items: 'iceberg:none/shop.items': an Iceberg table that cannot be read"):
        find_tables("items", "iceberg:none/shop.items")
