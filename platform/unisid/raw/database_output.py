"""Rows written into a table of a database, in one step that replaces what it held.

`snowflake:DATABASE.SCHEMA.TABLE` and `sqlite:FILE/TABLE` by Apache Arrow's ADBC drivers, and
`bigquery:PROJECT.DATASET.TABLE` by Google's client. Readers see the rows before or after: SQLite by one transaction;
BigQuery by one job; Snowflake, which has no transaction over tables that are made, by a second table that takes the
first one's place.
"""

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from unisid.errors import ConfigError, DataError
from unisid.raw import bigquery_output, databases

NAMED = re.compile(r"(snowflake|sqlite|bigquery):(?!//)(.+)", re.DOTALL)
NAME = databases.NAME | {"sqlite": re.compile(r"(.+)/([^/]+)", re.DOTALL)}
FORM = databases.FORM | {"sqlite": "FILE/TABLE"}
CALLED = {"bigquery": "a table of BigQuery", "snowflake": "a table of Snowflake", "sqlite": "a table of SQLite"}
PACKAGE = {
    "bigquery": bigquery_output.PACKAGE,
    "snowflake": "adbc_driver_snowflake.dbapi",
    "sqlite": "adbc_driver_sqlite.dbapi",
}
"""What each is written with."""
INSTALL = {"bigquery": "'unisid[bigquery]'", "snowflake": "'unisid[snowflake]'", "sqlite": "adbc-driver-sqlite"}
COMING = "_UNISID_NEW"
"""After the name of Snowflake's second table."""
NOT_FOUND = 3
"""ADBC's status where there is no such table."""

Batches = Iterator[pa.RecordBatch]


def check(where: str, kind: str, named: str) -> None:
    """Raise ConfigError for a name that is none of the kind, and for a package that is not installed."""
    if NAME[kind].fullmatch(named) is None:
        raise ConfigError(f"{where} {kind}:{named}: must be {kind}:{FORM[kind]}")
    try:
        importlib.import_module(PACKAGE[kind])
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{where} {kind}:{named}: to write {CALLED[kind]}, install its package: "
            f"pip install {INSTALL[kind]} ({error})"
        ) from None


def replace(kind: str, named: str, schema: pa.Schema, batches: Batches) -> str:
    """Replace what a table holds; returns a line that says how many rows it has.

    Raises:
        DataError: the table has other columns; it stays as it was.
        Exception: of the driver, whatever it is; `databases.without_secrets` is what may be shown of it.
    """
    found = NAME[kind].fullmatch(named)
    assert found is not None, named
    return _WRITE[kind](*found.groups(), schema, batches)


def _to_sqlite(path: str, table: str, schema: pa.Schema, batches: Batches) -> str:
    driver: Any = importlib.import_module(PACKAGE["sqlite"])
    with driver.connect(path) as connection, connection.cursor() as cursor:
        _refuse_others(connection, table, schema, {})
        counted = _Counted(batches)
        reader = pa.RecordBatchReader.from_batches(schema, iter(counted))
        cursor.adbc_ingest(table, reader, mode="replace")
        connection.commit()
    return f"{counted.rows:,} rows"


def _to_snowflake(database: str, space: str, table: str, schema: pa.Schema, batches: Batches) -> str:
    """Names and columns in capitals, as Snowflake spells what stands without quotation marks."""
    database, space, table = (name.upper() for name in (database, space, table))
    capitals = pa.schema([field.with_name(field.name.upper()) for field in schema])
    with (
        databases.connected("snowflake", f"{database}.{space}.{table}") as connection,
        connection.cursor() as cursor,
    ):
        within = {"catalog_filter": database, "db_schema_filter": space}
        _refuse_others(connection, table, capitals, within)
        counted = _Counted(batch.rename_columns(capitals.names) for batch in batches)
        reader = pa.RecordBatchReader.from_batches(capitals, iter(counted))
        coming = table + COMING
        cursor.adbc_ingest(coming, reader, mode="replace", catalog_name=database, db_schema_name=space)
        old, new = (f'"{database}"."{space}"."{name}"' for name in (table, coming))
        cursor.execute(f"CREATE OR REPLACE TABLE {old} CLONE {new} COPY GRANTS")
        cursor.execute(f"DROP TABLE {new}")
    return f"{counted.rows:,} rows"


class _Counted:
    """Batches, and how many rows went by."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self.batches, self.rows = batches, 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self.batches:
            self.rows += batch.num_rows
            yield batch


def _refuse_others(connection: Any, table: str, schema: pa.Schema, within: dict[str, str]) -> None:
    """Raise DataError where a table of this name has other columns: it holds something else."""
    try:
        names = connection.adbc_get_table_schema(table, **within).names
    except Exception as error:  # of the driver, which is not imported here
        if getattr(error, "status_code", None) == NOT_FOUND:
            return
        raise
    if names != schema.names:
        raise DataError(f"has the columns {', '.join(names)}, not {', '.join(schema.names)}; name another table")


_WRITE: Mapping[str, Callable[..., str]] = {
    "bigquery": bigquery_output.replace,
    "snowflake": _to_snowflake,
    "sqlite": _to_sqlite,
}
