"""Tables in Parquet: written in numbered files, read whole or by column."""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unisid.artifacts.reading import damaged, opened, whole
from unisid.artifacts.store import Place
from unisid.errors import ArtifactError

ROWS_PER_GROUP = 1 << 14
TABLE = "a whole Parquet file"
GIVEN = "tables"
"""The store's folder of tables that came without a file: from memory, or in a request."""


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


def write_stream(
    place: Place, family: str, index: int, tables: Iterable[pa.Table], rows_per_group: int = ROWS_PER_GROUP
) -> None:
    """Write one file of a family out of tables that come one after another: the bytes that all at once would give."""
    pieces = regrouped(tables, rows_per_group)
    first = next(pieces)
    with (
        place.writing(table_name(family, index)) as stream,
        pq.ParquetWriter(stream, first.schema, compression="zstd") as writer,
    ):
        for table in itertools.chain([first], pieces):
            writer.write_table(table, row_group_size=rows_per_group)


def regrouped(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of so many, but for the last; each column in one chunk."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        while sum(each.num_rows for each in held) >= rows:
            whole = pa.concat_tables(held)
            yield whole.slice(0, rows).combine_chunks()
            held = [whole.slice(rows)]
    if held and (last := pa.concat_tables(held)).num_rows:
        yield last.combine_chunks()


def write_given(root: Place, name: str, content: Any) -> str:
    """The URI of a Parquet file below a store's root that is named for its content: the same rows are written once.

    Args:
        name: what the table is, such as items.
        content: the bytes of the file.
    """
    place, file = root / GIVEN, f"{name}-{hashlib.sha256(content).hexdigest()[:16]}.parquet"
    if not place.exists(file):
        with place.writing(file, summed=False) as stream:
            stream.write(content)
    return (place / file).uri


def table_names(place: Place, family: str) -> list[str]:
    """The files of a family, in order."""
    return [n for n in place.sizes() if n.startswith(f"{family}-") and n.endswith(".parquet")]


def read_table(place: Place, family: str, columns: Sequence[str] | None = None) -> pa.Table:
    """All files of a family, joined in order."""
    names = table_names(place, family)
    if not names:
        raise ArtifactError(f"{place}: no table '{family}' here")
    tables = [read_file(place, name, columns) for name in names]
    for name, table in zip(names, tables, strict=True):
        if table.schema != tables[0].schema:
            raise damaged(
                place, name, f"has other columns than {names[0]}: {_columns(table)}, not {_columns(tables[0])}"
            )
    return pa.concat_tables(tables).combine_chunks()


def read_groups(place: Place, family: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """All rows of a family, a row group at a time."""
    for name in table_names(place, family):
        file = open_table(place, name)
        for group in range(file.num_row_groups):
            yield read_group(place, name, file, group, columns)


def read_integers(place: Place, family: str, column: str, dtype: Any) -> NDArray[Any]:
    """A column of whole numbers, as this type."""
    return integers(place, family, column, read_table(place, family, [column])[column], dtype)


def integers(place: Place, family: str, name: str, column: pa.ChunkedArray, dtype: Any) -> NDArray[Any]:
    """A column, or some of one, that was read and must hold whole numbers, as this type."""
    found = _fitting(place, family, name, column, "whole numbers", pa.types.is_integer)
    return found.to_numpy(zero_copy_only=False).astype(dtype, copy=False)


def read_reals(place: Place, family: str, column: str) -> NDArray[Any]:
    """A column of real numbers."""
    return reals(place, family, column, read_table(place, family, [column])[column])


def reals(place: Place, family: str, name: str, column: pa.ChunkedArray) -> NDArray[Any]:
    """A column, or some of one, that was read and must hold real numbers."""
    return _fitting(place, family, name, column, "real numbers", pa.types.is_float64).to_numpy(zero_copy_only=False)


def read_texts(place: Place, family: str, column: str) -> pa.Array:
    """A column of text."""
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    found = read_table(place, family, [column])[column]
    return _fitting(
        place, family, column, found, "text", lambda kind: any(is_text(kind) for is_text in texts), nulls=True
    )


def read_vectors(place: Place, family: str, column: str, width: int) -> NDArray[Any]:
    """A column of lists of so many whole numbers: [n, width]."""

    def fits(kind: Any) -> bool:
        sized = pa.types.is_fixed_size_list(kind) and kind.list_size == width
        return bool(sized and pa.types.is_integer(kind.value_type))

    read = read_table(place, family, [column])[column]
    found = _fitting(place, family, column, read, f"lists of {width} whole numbers", fits)
    return found.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)


def _fitting(
    place: Place,
    family: str,
    name: str,
    column: pa.ChunkedArray,
    what: str,
    fits: Callable[[pa.DataType], bool],
    nulls: bool = False,
) -> pa.Array:
    found = column.combine_chunks()
    if not fits(found.type) or (found.null_count and not nulls):
        is_, lacks = found.type, f" with {found.null_count} values missing" if found.null_count else ""
        raise damaged(place, table_names(place, family)[0], f"column '{name}' is of {is_}{lacks}, must be {what}")
    return found


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
        """The rows of all files of a family; reads their footers."""
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
                    table = read_group(self.place, name, file, group, wanted)
                    pieces.append(table.slice(max(start - first, 0), min(stop - first, rows) - max(start - first, 0)))
                first += rows
        return pa.concat_tables(pieces).combine_chunks()


def read_file(place: Place, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """One Parquet file, whole."""
    source = opened(place, name)
    with whole(place, name, TABLE):
        table = pq.read_table(source, columns=list(columns) if columns is not None else None)
        table.validate()
    return _checked(place, name, table, columns)


def open_table(place: Place, name: str) -> pq.ParquetFile:
    """One Parquet file, to be read group by group with `read_group`."""
    source = opened(place, name)
    with whole(place, name, TABLE):
        return pq.ParquetFile(source)


def read_group(
    place: Place, name: str, file: pq.ParquetFile, group: int, columns: Sequence[str] | None = None
) -> pa.Table:
    """A row group of an opened file."""
    with whole(place, name, TABLE):
        table = file.read_row_group(group, columns=list(columns) if columns is not None else None)
        table.validate()
    return _checked(place, name, table, columns)


def _checked(place: Place, name: str, table: pa.Table, columns: Sequence[str] | None) -> pa.Table:
    """Columns that are not there, the reader leaves out."""
    lacking = [column for column in columns or () if column not in table.column_names]
    if lacking:
        raise damaged(place, name, f"has no column '{lacking[0]}'")
    return table


def _columns(table: pa.Table) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in table.schema)
