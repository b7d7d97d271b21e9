"""Parquet files written into a table of a data lake or a database, in one commit that replaces what the table held.

A table is named by its kind and its place: `delta:s3://bucket/tonight`, `lance:/data/tonight`,
`iceberg:CATALOG/SPACE.TABLE` of a catalog that pyiceberg is configured for; those of databases as `database_output.py`
says. Readers see the rows before or after the commit. The packages are the extra `lake`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from unisid.artifacts.store import Place
from unisid.artifacts.tables import open_table, table_name
from unisid.errors import ConfigError, DataError
from unisid.raw import database_output, databases
from unisid.raw.lake import CALLED, Kind, package

NAMED = re.compile(r"(delta|lance|iceberg):(.+)")
IN_CATALOG = re.compile(r"([^/]+)/([^/]+)")


@dataclass(frozen=True)
class WrittenTable:
    """A table that rows are written into."""

    kind: str
    place: str
    """A folder or URI; of Iceberg CATALOG/SPACE.TABLE; of a database as it names a table."""

    @classmethod
    def of(cls, where: str, name: str) -> "WrittenTable":
        """The table of a name, with the package that writes it.

        Raises:
            ConfigError: the name is of another form, or the package is not installed.
        """
        if named := database_output.NAMED.fullmatch(name):
            database_output.check(where, named[1], named[2])
            return cls(named[1], named[2])
        found = NAMED.fullmatch(name)
        if found is None or (found[1] == "iceberg" and not IN_CATALOG.fullmatch(found[2])):
            raise ConfigError(
                f"{where} {name}: must be delta:PATH, lance:PATH, iceberg:CATALOG/SPACE.TABLE, "
                "bigquery:PROJECT.DATASET.TABLE, snowflake:DATABASE.SCHEMA.TABLE or sqlite:FILE/TABLE; a folder of "
                "Parquet files is --out"
            )
        kind: Kind = found[1]  # type: ignore[assignment]
        try:
            package(kind)
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"{where} {name}: to write {CALLED[kind]}, install the extra: pip install 'unisid[lake]' ({error})"
            ) from None
        return cls(kind, found[2] if kind == "iceberg" else Place.of(found[2]).uri)

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}"

    def replace(self, folder: Place, family: str, count: int) -> str:
        """Replace what the table holds by the rows of `count` Parquet files, read one after the other; returns a line
        that names the new version.

        Raises:
            DataError: the table has other columns, or cannot be written; it stays as it was.
        """
        schema = open_table(folder, table_name(family, 0)).schema_arrow.remove_metadata() if count else pa.schema([])

        def batches() -> Iterator[pa.RecordBatch]:
            for number in range(count):
                yield from open_table(folder, table_name(family, number)).read().to_batches()

        called = (CALLED | database_output.CALLED)[self.kind]
        try:
            if self.kind in database_output.CALLED:
                return database_output.replace(self.kind, self.place, schema, batches())
            return _WRITE[self.kind](self.place, schema, batches())
        except Exception as error:  # each package has errors of its own, some of which are plain exceptions
            raise DataError(
                f"{self}: {called} that cannot be written ({databases.without_secrets(str(error))}); the files lie "
                f"in {folder}"
            ) from error


def _delta(place: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> str:
    library = package("delta")
    library.write_deltalake(place, pa.RecordBatchReader.from_batches(schema, batches), mode="overwrite")
    return f"version {library.DeltaTable(place).version()}"


def _lance(place: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> str:
    reader = pa.RecordBatchReader.from_batches(schema, batches)
    return f"version {package('lance').write_dataset(reader, place, mode='overwrite').version}"


def _iceberg(place: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> str:
    catalog_name, _, name = place.partition("/")
    catalog: Any = package("iceberg").catalog.load_catalog(catalog_name)
    table = catalog.create_table_if_not_exists(name, schema=schema)
    with table.transaction() as change:
        if table.current_snapshot() is not None:
            change.delete("true")
        for batch in batches:
            change.append(pa.Table.from_batches([batch]))
    return f"snapshot {table.current_snapshot().snapshot_id}"


_WRITE = {"delta": _delta, "lance": _lance, "iceberg": _iceberg}
