"""Tables of BigQuery and Snowflake, and of queries over them, read as Arrow by Apache Arrow's ADBC drivers.

`bigquery:PROJECT.DATASET.TABLE`, `snowflake:DATABASE.SCHEMA.TABLE`, or a query after the colon. The rows of a query
have no order and no version: they are read whole and put in one order, their content is their version, and who reads
them later refuses others. Each driver is an extra of its own.
"""

import hashlib
import importlib
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from unisid.errors import DataError
from unisid.masked import MASK, masked

NAMED = re.compile(r"(bigquery|snowflake):(?!//)(.+)", re.DOTALL)
NAME = {
    "bigquery": re.compile(r"([\w-]+)\.([\w-]+)\.([\w$*-]+)"),
    "snowflake": re.compile(r"([\w$]+)\.([\w$]+)\.([\w$]+)"),
}
"""A table in three parts, which SQL may be made of."""
QUERY = re.compile(r"\s*(--[^\n]*\n\s*)*(select|with)\b", re.IGNORECASE)
FORM = {"bigquery": "PROJECT.DATASET.TABLE", "snowflake": "DATABASE.SCHEMA.TABLE"}
SNOWFLAKE = {
    "SNOWFLAKE_ACCOUNT": "adbc.snowflake.sql.account",
    "SNOWFLAKE_USER": "username",
    "SNOWFLAKE_PASSWORD": "password",
    "SNOWFLAKE_AUTH_TYPE": "adbc.snowflake.sql.auth_type",
    "SNOWFLAKE_TOKEN": "adbc.snowflake.sql.client_option.auth_token",
    "SNOWFLAKE_PRIVATE_KEY": "adbc.snowflake.sql.client_option.jwt_private_key",
    "SNOWFLAKE_WAREHOUSE": "adbc.snowflake.sql.warehouse",
    "SNOWFLAKE_ROLE": "adbc.snowflake.sql.role",
}
"""Environment variables -> options of the driver: https://arrow.apache.org/adbc/current/driver/snowflake.html."""
SECRETS = ("SNOWFLAKE_PASSWORD", "SNOWFLAKE_TOKEN", "SNOWFLAKE_PRIVATE_KEY")
DIGITS = 32
"""Of a content's checksum."""
ABSENT, BETWEEN = b"\x00", b"\x1f"


def sql_of(kind: str, named: str) -> str:
    """The query for a table's name, or the query that is given.

    Raises:
        DataError: it is neither.
    """
    if QUERY.match(named):
        return named
    if NAME[kind].fullmatch(named) is None:
        raise DataError(
            f"{kind}:{named}: must be {kind}:{FORM[kind]}, or {kind}: and a query that begins with SELECT or WITH"
        )
    return f"SELECT * FROM `{named}`" if kind == "bigquery" else f"SELECT * FROM {named}"


def options(kind: str, named: str, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The connection options of a driver.

    BigQuery's finds Google's default credentials by itself; the project that pays is GOOGLE_CLOUD_PROJECT, else the
    table's own.

    Raises:
        DataError: the environment lacks what is needed; names what.
    """
    if kind == "bigquery":
        table = NAME[kind].fullmatch(named)
        project = environment.get("GOOGLE_CLOUD_PROJECT") or (table[1] if table else "")
        if not project:
            raise DataError(f"{kind}: a query is paid by a project; set GOOGLE_CLOUD_PROJECT to it")
        return {"adbc.bigquery.sql.project_id": project}
    if missing := [name for name in ("SNOWFLAKE_ACCOUNT", "SNOWFLAKE_USER") if not environment.get(name)]:
        raise DataError(f"{kind}: {' and '.join(missing)} not set in the environment; known: {', '.join(SNOWFLAKE)}")
    return {option: environment[name] for name, option in SNOWFLAKE.items() if environment.get(name)}


def connected(kind: str, named: str) -> Any:
    """A connection of a driver's DBAPI; raises ModuleNotFoundError where the driver is not installed."""
    driver = importlib.import_module(f"adbc_driver_{kind}.dbapi")
    return driver.connect(db_kwargs=options(kind, named), autocommit=True)


def rows_of(connection: Any, query: str) -> pa.Table:
    """The rows of a query, as record batches came over a connection of any ADBC driver."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetch_record_batch().read_all()


def fetch(kind: str, named: str) -> pa.Table:
    """The rows of a table or query, in the order of their content.

    Raises:
        DataError: it is named neither way, or the environment lacks what connects.
        ModuleNotFoundError: the driver is not installed.
        Exception: of the driver, whatever it is; `without_secrets` is what may be shown of it.
    """
    query = sql_of(kind, named)
    with connected(kind, named) as connection:
        return in_order(rows_of(connection, query))


def in_order(table: pa.Table) -> pa.Table:
    """The rows by what they hold, column by column: equal rows of a database are then equal tables."""
    return table.take(pc.sort_indices(_lines(table))) if table.num_columns else table


def content(table: pa.Table) -> str:
    """The checksum (SHA-256) of a table's columns and of its rows, as they are in order."""
    found = hashlib.sha256(str(pa.schema([field.remove_metadata() for field in table.schema])).encode())
    found.update(str(table.num_rows).encode())
    for chunk in _lines(table).chunks if table.num_columns else ():
        found.update(b"\n".join([*chunk.to_pylist(), b""]))
    return found.hexdigest()[:DIGITS]


def _lines(table: pa.Table) -> pa.ChunkedArray:
    """Every row as bytes."""
    columns = [
        pa.chunked_array([_bytes(chunk) for chunk in column.chunks], pa.large_binary()) for column in table.columns
    ]
    return pc.binary_join_element_wise(*columns, pa.scalar(BETWEEN, pa.large_binary()))


def _bytes(values: pa.Array) -> pa.Array:
    """A column's values as bytes; those of types that Arrow writes as no text, as Python does."""
    try:
        text = values.cast(pa.large_binary() if pa.types.is_binary(values.type) else pa.large_string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        text = pa.array([None if value is None else repr(value) for value in values.to_pylist()], pa.large_string())
    return pc.fill_null(text.cast(pa.large_binary()), ABSENT)


def without_secrets(text: str) -> str:
    """A driver's message on one line, with secrets masked."""
    for name in SECRETS:
        if secret := os.environ.get(name):
            text = text.replace(secret, MASK)
    return masked(" ".join(text.split()))


class Database:
    """A table or query of a database, as `lake.Fragments`: one fragment, which is read once."""

    def __init__(self, kind: str, named: str, version: str) -> None:
        self.kind, self.named, self.version = kind, named, version
        self.files: Sequence[Sequence[str]] = [[f"{kind}:{named}"]]
        self.rows: pa.Table | None = None

    @property
    def schema(self) -> pa.Schema:
        return self._fetched().schema

    def read(self, number: int, columns: Sequence[str]) -> pa.Table:
        """The rows; they are fetched again for who reads them again."""
        table, self.rows = self._fetched(), None
        return table.select(list(columns))

    def _fetched(self) -> pa.Table:
        if self.rows is None:
            table = fetch(self.kind, self.named)
            if content(table) != self.version:
                raise DataError(
                    f"{self.kind}:{self.named}: holds other rows than when the run was planned; run it again, or "
                    "name a query over rows that stay"
                )
            self.rows = table
        return self.rows
