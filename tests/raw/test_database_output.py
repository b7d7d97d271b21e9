"""Rows that go into a table of a database, all of them or none; SQLite for real, Snowflake by what it would be told."""

import contextlib
import sys

import adbc_driver_sqlite.dbapi as sqlite
import pyarrow as pa
import pytest

from tests.raw.rows import ROWS, written
from unisid.artifacts.store import Place
from unisid.errors import ConfigError, DataError
from unisid.raw import database_output, databases
from unisid.raw.lake_output import WrittenTable


@pytest.fixture
def folder(tmp_path):
    return written(Place.of(tmp_path / "out"))


def held(path, table):
    with sqlite.connect(str(path)) as connection, connection.cursor() as cursor:
        cursor.execute(f'SELECT * FROM "{table}"')
        return cursor.fetchall()


def test_the_rows_replace_what_the_table_held(folder, tmp_path):
    table = WrittenTable.of("test", f"sqlite:{tmp_path}/shop.db/to night")
    assert table.replace(folder, "part", 2) == "3 rows"
    everything = [tuple(row.values()) for row in ROWS.to_pylist()]
    assert held(tmp_path / "shop.db", "to night") == everything
    assert table.replace(folder, "part", 1) == "2 rows"
    assert held(tmp_path / "shop.db", "to night") == everything[:2]


def test_a_table_of_other_columns_stays_as_it_was(folder, tmp_path):
    with sqlite.connect(str(tmp_path / "shop.db")) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("orders", pa.table({"id": [7]}))
        connection.commit()
    table = WrittenTable.of("test", f"sqlite:{tmp_path}/shop.db/orders")
    with pytest.raises(DataError, match=r"has the columns id, not user_id, rank, score; name another.* files lie in"):
        table.replace(folder, "part", 2)
    assert held(tmp_path / "shop.db", "orders") == [(7,)]


def test_what_is_cut_short_leaves_the_table_as_it_was(folder, tmp_path):
    table = WrittenTable.of("test", f"sqlite:{tmp_path}/shop.db/tonight")
    table.replace(folder, "part", 2)
    folder.write("part-00001.parquet", b"damaged")
    assert "part-00001.parquet" in folder.sizes()
    with pytest.raises(DataError, match="a table of SQLite that cannot be written"):
        table.replace(folder, "part", 2)
    assert len(held(tmp_path / "shop.db", "tonight")) == 3


def test_a_file_that_cannot_be_opened_is_an_error(folder, tmp_path):
    table = WrittenTable.of("test", f"sqlite:{tmp_path}/none/shop.db/tonight")
    with pytest.raises(DataError, match="a table of SQLite that cannot be written .*failed to open"):
        table.replace(folder, "part", 2)


class MissingError(Exception):
    status_code = database_output.NOT_FOUND


class Session:
    """A connection that keeps what it is told."""

    def __init__(self):
        self.told = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def cursor(self):
        return self

    def adbc_get_table_schema(self, table, **within):
        raise MissingError

    def adbc_ingest(self, table, reader, **how):
        self.told.append((table, reader.read_all(), how))

    def execute(self, query):
        self.told.append(query)


def test_snowflake_gets_a_second_table_that_takes_the_first_ones_place(folder, monkeypatch):
    session = Session()
    monkeypatch.setattr(database_output.importlib, "import_module", lambda name: None)
    monkeypatch.setattr(databases, "connected", lambda kind, named: contextlib.nullcontext(session))
    table = WrittenTable.of("test", "snowflake:shop.public.tonight")
    assert table.replace(folder, "part", 2) == "3 rows"
    (name, rows, how), *queries = session.told
    assert (name, how) == (
        "TONIGHT_UNISID_NEW",
        {"mode": "replace", "catalog_name": "SHOP", "db_schema_name": "PUBLIC"},
    )
    assert rows.equals(ROWS.rename_columns([column.upper() for column in ROWS.column_names]))
    new = '"SHOP"."PUBLIC"."TONIGHT_UNISID_NEW"'
    assert queries == [
        f'CREATE OR REPLACE TABLE "SHOP"."PUBLIC"."TONIGHT" CLONE {new} COPY GRANTS',
        f"DROP TABLE {new}",
    ]


def test_what_is_missing_is_named_before_any_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "adbc_driver_snowflake", None)
    with pytest.raises(
        ConfigError, match=r"test snowflake:a.b.c: to write a table of Snowflake, .*unisid\[snowflake\]"
    ):
        WrittenTable.of("test", "snowflake:a.b.c")
    for name, message in (("sqlite:tonight", "sqlite:FILE/TABLE"), ("bigquery:a.b", "bigquery:PROJECT.DATASET.TABLE")):
        with pytest.raises(ConfigError, match=message):
            WrittenTable.of("test", name)
