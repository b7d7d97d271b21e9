"""A database of one stage's rows that lies in a folder and holds so much memory at most: what is above it is on disk.

DuckDB sorts, joins and groups in bounded memory. A table's rows are numbered from 0 in the order in which they came
(`rowid`), and are read in that order; what a query is ordered by must leave no ties, so that its result is one.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from unisid.artifacts.store import Place
from unisid.errors import ArtifactError, ConfigError
from unisid.ops.seeded import pair
from unisid.stages.catalog.numbering import hashes

GIB = 1 << 30
BATCH = 1 << 18
"""Rows that are read at once."""
EXTRA = "install unisid[large], or set it to 0: everything is then sorted in the driver's memory"


class Database:
    """Tables by name, filled and read by queries."""

    def __init__(self, connection: Any, folder: Path) -> None:
        """`folder`: where files may lie as long as it is open."""
        self.connection, self.folder = connection, folder
        self.add_function("seeded", _seeded, ["VARCHAR", "UBIGINT"])
        self.add_function("paired", _paired, ["UBIGINT", "UBIGINT"])

    def add_function(self, name: str, function: Callable[..., pa.Array], given: list[str]) -> None:
        """Let queries call a function of Arrow columns that returns one of 64-bit hashes."""
        self.connection.create_function(name, function, given, "UBIGINT", type="arrow")

    def run(self, query: str) -> None:
        """Do what a query says."""
        self.connection.execute(query)

    def table(self, name: str, query: str) -> None:
        """Put a query's rows, in their order, into a new table; one of the same name is replaced."""
        self.run(f"create or replace table {name} as {query}")

    def view(self, name: str, query: str) -> None:
        """Call a query's rows by a name, without keeping them."""
        self.run(f"create or replace view {name} as {query}")

    def add(self, name: str, table: pa.Table) -> None:
        """Put rows at a table's end; the first make the table."""
        self.connection.register("given_rows", table)
        self.run(f"create table if not exists {name} as from given_rows limit 0")
        self.run(f"insert into {name} from given_rows")
        self.connection.unregister("given_rows")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """A query's rows, of which there are few."""
        return self.connection.execute(query).fetchall()

    def one(self, query: str) -> tuple[Any, ...]:
        """The only row of a query."""
        [row] = self.rows(query)
        return row

    def count(self, source: str) -> int:
        """How many rows there are, such as of 'items where allowed'."""
        return int(self.one(f"select count(*) from {source}")[0])

    def tables(self, query: str, rows: int) -> Iterator[pa.Table]:
        """A query's rows in their order, so many at a time."""
        for batch in self.connection.sql(query).to_arrow_reader(rows):
            yield pa.Table.from_batches([batch])


@contextlib.contextmanager
def opened(work: Place, gib: float, threads: int) -> Iterator[Database]:
    """A database in a folder of its own at `work`, or in the temporary folder where that is remote; it goes in the end.

    Args:
        gib: memory for what is sorted, joined and grouped.
    Raises:
        ConfigError: DuckDB is not installed, or this memory is too little for it.
        ArtifactError: the folder cannot be written, or its disk is full.
    """
    try:
        import duckdb
    except ModuleNotFoundError:
        raise ConfigError(f"catalog.memory: is {gib:g}, which needs the package duckdb; {EXTRA}") from None
    with _folder(work) as folder:
        settings = {
            "memory_limit": f"{round(gib * GIB)} bytes",
            "threads": threads,
            "temp_directory": str(folder / "spilled"),
        }
        try:
            with duckdb.connect(folder / "catalog.duckdb", config=settings) as connection:
                yield Database(connection, folder)
        except duckdb.IOException as error:
            raise _unwritable(folder, error) from error
        except duckdb.OutOfMemoryException as error:
            if "max_temp_directory_size" in str(error):
                raise _unwritable(folder, error) from error
            raise ConfigError(
                f"catalog.memory: {gib:g} GiB are too little for this catalogue ({_first(error)}); give it more"
            ) from error


def _unwritable(folder: Path, error: Exception) -> ArtifactError:
    return ArtifactError(
        f"{folder}: cannot be written ({_first(error)}); free space or rights are needed, or another "
        "place for the store (--store; of a remote store: TMPDIR)"
    )


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


@contextlib.contextmanager
def _folder(work: Place) -> Iterator[Path]:
    """An empty folder on this machine."""
    if not work.is_local:
        with tempfile.TemporaryDirectory(prefix="unisid-") as name:
            yield Path(name)
        return
    folder = Path(work.filesystem[1]) / "sorted"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _seeded(names: pa.Array, seeds: pa.Array) -> pa.Array:
    """The hash of each id by a seed that is the same in all rows."""
    return pa.array(hashes(names, seeds[0].as_py()) if len(names) else np.empty(0, np.uint64))


def _paired(left: pa.Array, right: pa.Array) -> pa.Array:
    return pa.array(pair(*(each.to_numpy(zero_copy_only=False) for each in (left, right))))
