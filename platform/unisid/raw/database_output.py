"""Rows written into a table of a database by Apache Arrow's ADBC drivers, in one step that replaces what it held.

`snowflake:DATABASE.SCHEMA.TABLE`, or `sqlite:FILE/TABLE`. Readers see the rows before or after: SQLite by one
transaction; Snowflake, which has none over tables that are made, by a second table that takes the first one's place.
Apache Arrow's driver for BigQuery writes no tables.
"""

import importlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from unisid.errors import ConfigError, DataError
from unisid.raw import databases

NAMED = re.compile(r"(snowflake|sqlite|bigquery):(?!//)(.+)", re.DOTALL)
NAME = {"snowflake": databases.NAME["snowflake"], "sqlite": re.compile(r"(.+)/([^/]+)", re.DOTALL)}
FORM = {"snowflake": databases.FORM["snowflake"], "sqlite": "FILE/TABLE"}
CALLED = {"snowflake": "a table of Snowflake", "sqlite": "a table of SQLite"}
INSTALL = {"snowflake": "'unisid[snowflake]'", "sqlite": "adbc-driver-sqlite"}
BIGQUERY = (
    "Apache Arrow's driver for BigQuery writes no tables; load the files of --out: bq load --replace "
    "--source_format=PARQUET DATASET.TABLE 'gs://BUCKET/tonight/*.parquet'"
)
COMING = "_UNISID_NEW"
"""After the name of Snowflake's second table."""
NOT_FOUND = 3
"""ADBC's status where there is no such table."""

Batches = Iterator[pa.RecordBatch]


def check(where: str, kind: str, named: str) -> None:
    """Raise ConfigError for a name that is none of the kind, for a driver that is not installed, and for BigQuery."""
    if kind == "bigquery":
        raise ConfigError(f"{where} bigquery:{named}: {BIGQUERY}")
    if NAME[kind].fullmatch(named) is None:
        raise ConfigError(f"{where} {kind}:{named}: must be {kind}:{FORM[kind]}")
    try:
        importlib.import_module(f"adbc_driver_{kind}.dbapi")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{where} {kind}:{named}: to write {CALLED[kind]}, install its driver: "
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
    write: Callable[..., int] = _to_snowflake if kind == "snowflake" else _to_sqlite
    return f"{write(*found.groups(), schema, batches):,} rows"


def _to_sqlite(path: str, table: str, schema: pa.Schema, batches: Batches) -> int:
    driver: Any = importlib.import_module("adbc_driver_sqlite.dbapi")
    with driver.connect(path) as connection, connection.cursor() as cursor:
        _refuse_others(connection, table, schema, {})
        counted = _Counted(batches)
        reader = pa.RecordBatchReader.from_batches(schema, iter(counted))
        cursor.adbc_ingest(table, reader, mode="replace")
        connection.commit()
    return counted.rows


def _to_snowflake(database: str, space: str, table: str, schema: pa.Schema, batches: Batches) -> int:
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
    return counted.rows


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
