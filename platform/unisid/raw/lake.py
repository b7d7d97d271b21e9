"""Tables of a data lake: Delta Lake, Apache Iceberg and Lance, read fragment by fragment at one fixed version; and of
BigQuery and Snowflake (`databases.py`), at their content.

A table is named by its folder; an Iceberg table also by a metadata file of it, or as `iceberg:CATALOG/SPACE.TABLE` of a
catalog that pyiceberg is configured for. Its address at a version, such as `lance+/data/items.lance@12`, is what
parts carry to workers: they read the same rows, whatever is committed meanwhile. The packages are the extra `lake`.
"""

import contextlib
import functools
import hashlib
import importlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import pyarrow as pa
import pyarrow.fs as pafs

from unisid.artifacts.store import Place
from unisid.errors import DataError
from unisid.raw import databases
from unisid.raw.files import digest, kind_at

Kind = Literal["delta", "iceberg", "lance", "bigquery", "snowflake"]
CALLED = {
    "delta": "a Delta Lake table",
    "iceberg": "an Iceberg table",
    "lance": "a Lance table",
    "bigquery": "a table of BigQuery",
    "snowflake": "a table of Snowflake",
}
EXTRA = {"bigquery": "bigquery", "snowflake": "snowflake"}
"""What is installed to read a kind, where it is not the extra `lake`."""
REMEDY = {
    "bigquery": "check its name, and Google's default credentials: gcloud auth application-default login",
    "snowflake": f"check its name, and the credentials in {', '.join(databases.SNOWFLAKE)}",
}
EXPORT = "export its rows as Parquet where it uses what the package does not support"
PACKAGES = {"delta": "deltalake", "iceberg": "pyiceberg", "lance": "lance"}
"""What each kind is read with."""
ADDRESS = re.compile(r"(delta|iceberg|lance|bigquery|snowflake)\+(.+)@([^@]*)", re.DOTALL)
CATALOG = re.compile(r"iceberg:([^/]+)/(.+)")
METADATA = ".metadata.json"


class Fragments(Protocol):
    """A table at one version."""

    schema: pa.Schema
    files: Sequence[Sequence[str]]
    """Of every fragment: the paths of the files that hold it."""

    def read(self, number: int, columns: Sequence[str]) -> pa.Table:
        """The rows of a fragment."""
        ...


@dataclass(frozen=True)
class LakeTable:
    """Where a table lies, at one version."""

    kind: Kind
    uri: str
    version: str

    @property
    def address(self) -> str:
        """How parts and errors name it."""
        return f"{self.kind}+{self.uri}@{self.version}"

    def open(self) -> Fragments:
        """Raises DataError where the table is damaged, uses what its package cannot read, or the package is missing."""
        with readable(self.address):
            return _OPEN[self.kind](self.uri, self.version)

    def digest(self) -> str:
        """The content of its columns' names and types and of all files that hold its rows; a database's version."""
        if self.kind in databases.FORM:
            return self.version
        found = self.open()
        result = hashlib.sha256(str(pa.schema([field.remove_metadata() for field in found.schema])).encode())
        for files in found.files:
            result.update("".join(map(digest, files)).encode())
        return result.hexdigest()


def find_table(where: str, path: str) -> LakeTable | None:
    """The newest version of the table that a path names; None where it names none.

    Raises:
        DataError: the package that reads it is missing, or it cannot be opened.
    """
    if named := databases.NAMED.fullmatch(path):
        kind: Kind = named[1]  # type: ignore[assignment]
        with _readable(kind, f"{where}: '{path}'"):
            return LakeTable(kind, named[2], databases.content(databases.fetch(kind, named[2])))
    if named := CATALOG.fullmatch(path):
        with _readable("iceberg", f"{where}: '{path}'"):
            table = package("iceberg").catalog.load_catalog(named[1]).load_table(named[2])
            return LakeTable("iceberg", str(table.metadata_location), "")
    if path.endswith(METADATA):
        return LakeTable("iceberg", Place.of(path).uri, "")
    place = Place.of(path)
    if kind_at(place) != pafs.FileType.Directory:
        return None
    folders = set(place.folders())
    if "_delta_log" in folders:
        with _readable("delta", f"{where}: '{path}'"):
            return LakeTable("delta", place.uri, str(package("delta").DeltaTable(place.uri).version()))
    if "_versions" in folders:
        with _readable("lance", f"{where}: '{path}'"):
            return LakeTable("lance", place.uri, str(package("lance").dataset(place.uri).version))
    if "metadata" in folders and (found := [n for n in (place / "metadata").sizes() if n.endswith(METADATA)]):
        return LakeTable("iceberg", str(place / "metadata" / max(found, key=_number)), "")
    return None


def table_at(address: str) -> LakeTable | None:
    """The table of an address; None for a path of another kind."""
    found = ADDRESS.fullmatch(address)
    return None if found is None else LakeTable(*found.groups())  # type: ignore[arg-type]


def _number(name: str) -> tuple[int, str]:
    """Which version an Iceberg metadata file is of: 00003-UUID.metadata.json or v3.metadata.json."""
    digits = re.match(r"v?(\d+)", name)
    return (int(digits[1]) if digits else -1), name


def package(kind: Kind) -> Any:
    """The package of a kind of table; raises ModuleNotFoundError where it is not installed."""
    if kind == "iceberg":
        importlib.import_module("pyiceberg.catalog")
        importlib.import_module("pyiceberg.table")
        importlib.import_module("pyiceberg.io.pyarrow")
    return importlib.import_module(PACKAGES[kind])


def readable(address: str) -> contextlib.AbstractContextManager[None]:
    """A context in which errors of reading a table become DataErrors that name its address."""
    found = ADDRESS.fullmatch(address)
    assert found is not None, address
    return _readable(found[1], address)  # type: ignore[arg-type]


@contextlib.contextmanager
def _readable(kind: Kind, where: str) -> Iterator[None]:
    """Whatever a package raises, as an error that names the table."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise DataError(
            f"{where}: is {CALLED[kind]}; to read it, install the extra: pip install "
            f"'unisid[{EXTRA.get(kind, 'lake')}]' ({error})"
        ) from None
    except DataError:
        raise
    except Exception as error:  # each package has errors of its own, some of which are plain exceptions
        raise DataError(
            f"{where}: {CALLED[kind]} that cannot be read ({databases.without_secrets(str(error))}); "
            f"{REMEDY.get(kind, EXPORT)}"
        ) from error


class _Delta:
    def __init__(self, uri: str, version: str) -> None:
        table = package("delta").DeltaTable(uri, version=int(version))
        data = table.to_pyarrow_dataset()
        self.schema = data.schema
        self.fragments = sorted(data.get_fragments(), key=lambda fragment: fragment.path)
        root = Place.of(uri)
        self.files = [[str(root / fragment.path)] for fragment in self.fragments]

    def read(self, number: int, columns: Sequence[str]) -> pa.Table:
        return self.fragments[number].to_table(schema=self.schema, columns=list(columns))


class _Lance:
    def __init__(self, uri: str, version: str) -> None:
        data = package("lance").dataset(uri, version=int(version))
        self.schema = data.schema
        self.fragments = data.get_fragments()
        root = Place.of(uri)
        self.files = [
            [
                *(str(root / "data" / file.path) for file in fragment.data_files()),
                *(str(root / gone) for gone in [fragment.deletion_file()] if gone),
            ]
            for fragment in self.fragments
        ]

    def read(self, number: int, columns: Sequence[str]) -> pa.Table:
        return self.fragments[number].to_table(columns=list(columns))


class _Iceberg:
    def __init__(self, uri: str, version: str) -> None:
        self.table = package("iceberg").table.StaticTable.from_metadata(uri)
        self.schema = self.table.schema().as_arrow()
        self.tasks = sorted(self.table.scan().plan_files(), key=lambda task: task.file.file_path)
        self.files = [
            [task.file.file_path, *sorted(gone.file_path for gone in task.delete_files)] for task in self.tasks
        ]

    def read(self, number: int, columns: Sequence[str]) -> pa.Table:
        scan = self.table.scan(selected_fields=tuple(columns))
        arrow = package("iceberg").io.pyarrow.ArrowScan
        return arrow(self.table.metadata, self.table.io, scan.projection(), scan.row_filter).to_table(
            [self.tasks[number]]
        )


_OPEN: dict[str, Any] = {
    "delta": _Delta,
    "iceberg": _Iceberg,
    "lance": _Lance,
    "bigquery": functools.partial(databases.Database, "bigquery"),
    "snowflake": functools.partial(databases.Database, "snowflake"),
}


@functools.lru_cache(maxsize=8)
def opened(address: str) -> Fragments:
    """The table of an address, opened once in a process."""
    table = table_at(address)
    assert table is not None, address
    return table.open()
