"""Tables of databases hold the same shop as Parquet files do; SQLite's driver stands in for those of the services."""

import importlib
import sys

import adbc_driver_sqlite.dbapi as sqlite
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.raw.test_lake import ITEMS, ROWS, read
from unisid.datasets import tables
from unisid.errors import DataError
from unisid.raw import databases, lake
from unisid.raw.folders import find_tables

CLICKS = "SELECT user_id, item_id, timestamp FROM clicks"
TIMES = ROWS.set_column(2, "timestamp", pa.array([10, 20, 30, 40, 50]))


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A file of SQLite that is connected to as either service; its tables are called as BigQuery's are."""
    path = str(tmp_path / "shop.sqlite")
    lake.opened.cache_clear()
    monkeypatch.setattr(databases, "connected", lambda kind, named: sqlite.connect(path, autocommit=True))
    write(path, "p-1.shop.items", ITEMS)
    write(path, "clicks", TIMES)
    return path


def write(path, name, table, mode="replace"):
    with sqlite.connect(path, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(name, table, mode=mode)


def test_the_shop_is_that_of_parquet_files(shop, tmp_path):
    pq.write_table(ITEMS, tmp_path / "items.parquet")
    pq.write_table(TIMES, tmp_path / "rows.parquet")
    plain = tables.Config(items=str(tmp_path / "items.parquet"), interactions=str(tmp_path / "rows.parquet"))
    given = tables.Config(items="bigquery:p-1.shop.items", interactions=f"snowflake:{CLICKS}")
    assert read(given) == read(plain)


def test_the_content_is_the_identity_in_whatever_order_it_comes(shop):
    [before] = find_tables("rows", f"snowflake:{CLICKS}")
    write(shop, "clicks", TIMES.take([4, 2, 0, 1, 3]))
    [same] = find_tables("rows", f"snowflake:{CLICKS}")
    assert (same.path, same.digest()) == (before.path, before.digest())
    write(shop, "clicks", TIMES[:1], "append")
    [more] = find_tables("rows", f"snowflake:{CLICKS}")
    assert more.digest() != before.digest()
    with pytest.raises(DataError, match="holds other rows than when the run was planned"):
        lake.opened(before.path).read(0, ["user_id"])
    assert lake.opened(more.path).read(0, ["user_id"]).num_rows == 6


def test_rows_of_every_type_are_put_in_order():
    table = pa.table(
        {
            "b": pa.array([2, None, 2], pa.int64()),
            "s": pa.array(["x", "", None]).dictionary_encode(),
            "l": [["a"], None, ["b", "c"]],
            "t": pa.array([1, 2, None], pa.timestamp("us", "UTC")),
            "y": [b"\xff", b"", None],
            "n": pa.nulls(3),
        }
    )
    found = databases.in_order(table)
    assert found.equals(databases.in_order(table.take([2, 0, 1])))
    assert sorted(map(str, found.to_pylist())) == sorted(map(str, table.to_pylist()))
    parts = pa.concat_tables([found[:1], found[1:]])
    assert databases.content(parts) == databases.content(found) != databases.content(found[:2])
    assert databases.content(databases.in_order(table[:0])) != databases.content(pa.table({}))


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        (
            "bigquery:p-1.shop.none",
            "a table of BigQuery that cannot be read .*no such table: p-1.shop.none.*; check its",
        ),
        ("snowflake:SELECT x FROM none", "a table of Snowflake that cannot be read .*SNOWFLAKE_ACCOUNT"),
        ("snowflake:items", "must be snowflake:DATABASE.SCHEMA.TABLE, or snowflake: and a query"),
        ("bigquery:a.b.c; DROP TABLE clicks", "must be bigquery:PROJECT.DATASET.TABLE"),
    ],
    ids=["no table", "no table of a query", "no name", "no query"],
)
def test_what_is_not_there_is_an_error(shop, path, complaint):
    with pytest.raises(DataError, match=complaint):
        find_tables("items", path)


def test_what_is_missing_to_connect_is_named(monkeypatch):
    for name in (*databases.SNOWFLAKE, "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DataError, match="snowflake: SNOWFLAKE_ACCOUNT and SNOWFLAKE_USER not set"):
        databases.options("snowflake", "a.b.c")
    with pytest.raises(DataError, match="set GOOGLE_CLOUD_PROJECT"):
        databases.options("bigquery", "SELECT 1")
    assert databases.options("bigquery", "p-1.shop.items") == {"adbc.bigquery.sql.project_id": "p-1"}
    monkeypatch.setitem(sys.modules, "adbc_driver_bigquery", None)
    with pytest.raises(DataError, match=r"items: 'bigquery:p.s.t': is a table of BigQuery; .* 'unisid\[bigquery\]'"):
        find_tables("items", "bigquery:p.s.t")


def test_no_secret_is_shown(monkeypatch):
    monkeypatch.setenv("SNOWFLAKE_ACCOUNT", "acc")
    monkeypatch.setenv("SNOWFLAKE_USER", "u")
    monkeypatch.setenv("SNOWFLAKE_PASSWORD", "hush-hush")

    class Driver:
        def connect(self, db_kwargs, autocommit):
            assert (db_kwargs["username"], db_kwargs["adbc.snowflake.sql.account"]) == ("u", "acc")
            raise OSError(f"no session for {db_kwargs['password']}\nat https://u:{db_kwargs['password']}@acc")

    monkeypatch.setattr(importlib, "import_module", lambda name: Driver())
    with pytest.raises(DataError, match=r"no session for \*\*\* at https://\*\*\*@acc\); check its name") as error:
        find_tables("items", "snowflake:a.b.c")
    assert "hush" not in str(error.value)


@pytest.mark.parametrize("name", databases.SECRETS)
def test_whatever_opens_something_is_masked(monkeypatch, name):
    monkeypatch.setenv(name, "line one\nline two")
    assert databases.without_secrets("refused: line one\nline two\nagain") == "refused: *** again"
