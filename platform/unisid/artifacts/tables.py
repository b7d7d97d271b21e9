"""Tables in Parquet: written in numbered files, read whole or by column."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from unisid.artifacts.store import Place
from unisid.errors import ArtifactError

ROWS_PER_GROUP = 1 << 14


def table_name(family: str, index: int) -> str:
    """'items', 3 -> 'items-00003.parquet'."""
    return f"{family}-{index:05d}.parquet"


def write_table(place: Place, family: str, index: int, table: pa.Table, rows_per_group: int = ROWS_PER_GROUP) -> None:
    """Write one file of a family; it appears whole or not at all."""
    with place.writing(table_name(family, index)) as stream:
        pq.write_table(table, stream, compression="zstd", row_group_size=rows_per_group)


def write_tables(place: Place, family: str, tables: Iterable[pa.Table]) -> int:
    """Write tables as files 0, 1, ...; returns the number of rows."""
    rows = 0
    for index, table in enumerate(tables):
        write_table(place, family, index, table)
        rows += table.num_rows
    return rows


def table_names(place: Place, family: str) -> list[str]:
    """The files of a family, in order."""
    return [n for n in place.sizes() if n.startswith(f"{family}-") and n.endswith(".parquet")]


def read_table(place: Place, family: str, columns: Sequence[str] | None = None) -> pa.Table:
    """All files of a family, joined in order."""
    names = table_names(place, family)
    if not names:
        raise ArtifactError(f"{place}: no table '{family}' here")
    return pa.concat_tables([read_file(place, name, columns) for name in names]).combine_chunks()


def read_rows(place: Place, family: str, start: int, stop: int, columns: Sequence[str] | None = None) -> pa.Table:
    """Rows start to stop of a family, counted over all its files; only the row groups that hold them are read."""
    return Rows.of(place, family).read(start, stop, columns)


@dataclass(frozen=True)
class Rows:
    """A family's rows by number; how many each file holds is looked up once."""

    place: Place
    family: str
    files: tuple[tuple[str, int], ...]
    """Name and number of the first row of each, in order."""
    size: int
    """Rows of all files."""

    @classmethod
    def of(cls, place: Place, family: str) -> "Rows":
        files, first = [], 0
        for name in table_names(place, family):
            files.append((name, first))
            first += open_table(place, name).metadata.num_rows
        return cls(place, family, tuple(files), first)

    def read(self, start: int, stop: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows start to stop; only the row groups that hold them are read."""
        if stop > self.size:
            raise ArtifactError(f"{self.place}: table '{self.family}' has {self.size} rows, not {stop}")
        wanted = list(columns) if columns is not None else None
        pieces = []
        ends = [first for _, first in self.files[1:]] + [self.size]
        for (name, first), end in zip(self.files, ends, strict=True):
            if first >= stop or end <= start:
                continue
            file = open_table(self.place, name)
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if first < stop and first + rows > start:
                    table = file.read_row_group(group, columns=wanted)
                    pieces.append(table.slice(max(start - first, 0), min(stop - first, rows) - max(start - first, 0)))
                first += rows
        return pa.concat_tables(pieces).combine_chunks()


def read_file(place: Place, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """One Parquet file, whole."""
    with _whole(place, name):
        return pq.read_table(place.open(name), columns=list(columns) if columns is not None else None)


def open_table(place: Place, name: str) -> pq.ParquetFile:
    """One Parquet file, to be read group by group."""
    with _whole(place, name):
        return pq.ParquetFile(place.open(name))


@contextlib.contextmanager
def _whole(place: Place, name: str) -> Iterator[None]:
    try:
        yield
    except pa.ArrowInvalid as error:
        raise ArtifactError(f"{place}/{name}: is not a whole Parquet file ({error}); delete the artifact's folder "
                            "and make it anew") from None  # fmt: skip
