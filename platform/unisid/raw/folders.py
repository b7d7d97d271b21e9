"""The files of a table: one path, or a folder of them, in parts called key=value where it is partitioned.

A table of a data lake (`lake.py`) counts as one file, whose path is its address.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

import pyarrow.fs as pafs

from unisid.artifacts.store import Place
from unisid.errors import DataError
from unisid.raw.files import digest, find, kind_at
from unisid.raw.lake import find_table, table_at

PACKED = ("", ".gz", ".bz2", ".zst", ".xz")
TABLES = tuple(f"{end}{packed}" for end in (".csv", ".tsv", ".psv") for packed in PACKED)
LINES = tuple(f"{end}{packed}" for end in (".jsonl", ".ndjson", ".json") for packed in PACKED)
ENDINGS = ((".parquet",), TABLES, LINES)
"""What a table's files end in: Parquet, delimited text, lines of JSON."""
OF_A_FOLDER = (
    "of a folder its tables of Parquet and delimited text are read or, where it has none, its lines of JSON, and "
    "folders in it that are called key=value"
)
"""What `find_tables` chooses, as messages say it."""
NULL = "__HIVE_DEFAULT_PARTITION__"
"""How Hive and Spark write that a partition has no value."""
NO_DATA = re.compile(r"_|readme|licen[cs]e|.*\.(md|crc|md5|sha\d+|lock)$", re.IGNORECASE)
"""Names of what lies beside data and holds none: marks of Spark and Hive, notes, checksums."""


@dataclass(frozen=True)
class Found:
    """A file of raw data, and the column values that its folders' names give."""

    path: str
    partition: str = ""
    """'dt=2024-05-01/country=de', as the folders are called below the table's own; empty where there are none."""
    beside: tuple[str, ...] = field(default=(), compare=False)
    """Of the first file of a folder: what else lies there, may be data and is not read, folders with a slash."""

    def digest(self) -> str:
        """Its content, and its partition: both decide what is read."""
        if (table := table_at(self.path)) is not None:
            return table.digest()
        return f"{digest(self.path)} {self.partition}" if self.partition else digest(self.path)


def columns_of(partition: str) -> dict[str, str | None]:
    """The columns that a partition's folders stand for: name -> the one value of all its rows."""
    pairs = (folder.partition("=") for folder in partition.split("/") if folder)
    return {unquote(name): None if value == NULL else unquote(value) for name, _, value in pairs}


def find_tables(where: str, path: str) -> list[Found]:
    """A table's files: the path itself, or those of a folder and of the partitions in it, by name."""
    if path and (table := find_table(where, path)) is not None:
        return [Found(table.address)]
    place = Place.of(path)
    if not path or kind_at(place) != pafs.FileType.Directory:
        return [Found(find(where, path))]
    others: list[str] = []
    found = list(_walked(place, "", others))
    names = [file.path.rpartition("/")[2] for file in found]
    for endings in _preferred(names):
        chosen = [file for file, name in zip(found, names, strict=True) if name.lower().endswith(endings)]
        if len({file.partition.count("=") for file in chosen}) > 1:
            raise DataError(
                f"{where}: the folder '{path}' holds files at different depths of key=value folders, such "
                f"as {chosen[0].path} and {chosen[-1].path}; give all rows the same columns"
            )
        others += [name for name in names if not name.lower().endswith(endings) and not NO_DATA.match(name)]
        return [replace(chosen[0], beside=tuple(sorted(set(others)))), *chosen[1:]]
    raise DataError(
        f"{where}: the folder '{path}' holds no file that ends in "
        f"{', '.join(end for endings in ENDINGS for end in endings)}; folders in it are read where they "
        "are called key=value"
    )


def passed_over(sources: Mapping[str, Sequence[Found]]) -> dict[str, list[str]]:
    """Role -> what the folder of its files holds beside them, that may be data and is not read; where there is any."""
    found = {role: [name for file in files for name in file.beside] for role, files in sources.items()}
    return {role: names for role, names in found.items() if names}


def _preferred(names: list[str]) -> list[tuple[str, ...]]:
    """The endings to read: tables of Parquet and text together; lines of JSON where there are no such."""
    sets = ((*ENDINGS[0], *ENDINGS[1]), ENDINGS[2])
    return [endings for endings in sets if any(name.lower().endswith(endings) for name in names)]


def _walked(place: Place, partition: str, others: list[str]) -> Iterator[Found]:
    """The files of a folder and of the partitions in it; the names of other folders go into `others`."""
    for name in place.sizes():
        yield Found(str(place / name), partition)
    for name in place.folders():
        if "=" in name:
            yield from _walked(place / name, f"{partition}/{name}".lstrip("/"), others)
        elif not NO_DATA.match(name):
            others.append(f"{name}/")
