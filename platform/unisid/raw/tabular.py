"""Tables in Parquet, delimited text, lines of JSON or of a data lake: cut into parts, read by part."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from unisid.artifacts.store import Place
from unisid.errors import DataError
from unisid.raw.columns import NO_HINTS, item_table, require
from unisid.raw.content import PARQUET, no_table
from unisid.raw.delimited import Format, read_text, table_of
from unisid.raw.files import head, is_parquet
from unisid.raw.folders import Found, columns_of
from unisid.raw.json_lines import is_json, read_lines
from unisid.raw.lake import opened, readable, table_at
from unisid.raw.parts import Part, part
from unisid.raw.rows import Numbered, Rows, unread_of, with_unread
from unisid.raw.texts import is_binary, is_text, stored

ROWS_PER_PART = 1 << 20
PLAIN = Format()


def parts_of(table: Literal["items", "interactions"], found: Found) -> list[Part]:
    """A Parquet file in runs of row groups, a table of a data lake by fragments; any other file whole, for its lines
    cannot be counted unread."""
    if (lake := table_at(found.path)) is not None:
        count = len(lake.open().files)
        return [part(table, found.path, number, number + 1) for number in range(count)] or [part(table, found.path)]
    if not is_parquet(found.path):
        return [part(table, found.path, partition=found.partition)]
    metadata = _open(found.path).metadata
    parts, start, rows = [], 0, 0
    for group in range(metadata.num_row_groups):
        rows += metadata.row_group(group).num_rows
        if rows >= ROWS_PER_PART:
            parts.append(part(table, found.path, start, group + 1, found.partition))
            start, rows = group + 1, 0
    if start < metadata.num_row_groups or not parts:
        parts.append(part(table, found.path, start, metadata.num_row_groups, found.partition))
    return parts


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The columns that are read."""

    typed: tuple[str, ...]
    """Ids and times, which keep their type."""
    texts: tuple[str, ...] = ()
    every: bool = False
    """Whether all other columns that hold text are read too."""
    text: tuple[str, ...] = ()
    """Those that are then read where they hold bytes, too."""

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.typed, *self.texts)

    def reads(self, field: pa.Field) -> bool:
        """Whether a further column is read for its type: text, or what may be text in other files."""
        kind = field.type
        held = is_text(kind) or pa.types.is_null(kind) or (is_binary(stored(kind)) and field.name in self.text)
        return self.every and held


def read_rows(
    part: Part, columns: tuple[str, ...], form: Format = PLAIN, hints: Mapping[str, str] = NO_HINTS
) -> tuple[pa.Table, Rows]:
    """These columns of a part's rows, and what errors call the rows; the table remembers what was not read.

    Args:
        hints: what would be right where a column is not there, as the end of the error.
    Raises:
        DataError: where one of the columns is not there.
    """
    return _read(part, Wanted(typed=columns), form, hints)


def read_items(
    part: Part, item_id: str, title: str, further: tuple[str, ...], text: tuple[str, ...], form: Format = PLAIN
) -> pa.Table:
    """The items of a part; the table remembers what was not read.

    Args:
        further: the text columns to read beside id and title; none: every one there is.
        text: the columns that make up the text: they are read where they hold bytes, too.
    """
    wanted = Wanted(typed=(item_id,), texts=(title, *further), every=not further, text=text)
    table, rows = _read(part, wanted, form, NO_HINTS)
    rest = [name for name in table.column_names if name not in (item_id, title)]
    return with_unread(item_table(table, part["path"], item_id, title, further or rest, rows), *unread_of(table))


def _read(part: Part, wanted: Wanted, form: Format, hints: Mapping[str, str]) -> tuple[pa.Table, Rows]:
    path, given, cause = part["path"], columns_of(part["partition"]), ""
    inside = [name for name in wanted.names if name not in given]
    rows: Rows
    if table_at(path) is not None:
        table, rows = _read_fragment(part, wanted)
    elif is_parquet(path):
        table, rows = _read_parquet(part, wanted)
    elif is_json(head(path)):
        table, lines = read_lines(path, wanted.typed, wanted.texts, wanted.every, form.encoding)
        rows, cause = lines, "; each row must be an object on a line of its own" if len(lines.lines) == 1 else ""
    else:
        text = read_text(path, form, inside, "\t" if ".tsv" in path.rpartition("/")[2] else ",")
        table, rows, cause = _chosen(*table_of(text), wanted), text, text.cause(inside)
    table = _with_partition(table, given, wanted)
    require(table, wanted.names, path, {name: cause or hints.get(name, "") for name in wanted.names})
    return table, rows


def _read_fragment(part: Part, wanted: Wanted) -> tuple[pa.Table, Rows]:
    lake = opened(part["path"])
    kept = [field.name for field in lake.schema if field.name in wanted.names or wanted.reads(field)]
    unread = {field.name: str(field.type) for field in lake.schema if field.name not in kept}
    if part["stop"] < 0:  # the table has no fragment
        table = lake.schema.empty_table().select(kept)
    else:
        with readable(part["path"]):
            table = lake.read(part["start"], kept)
    return with_unread(table.select(kept), unread), Numbered(noun=f"fragment {part['start'] + 1}, row")


def _chosen(table: pa.Table, unread: Mapping[str, str], wanted: Wanted) -> pa.Table:
    """The wanted columns of a delimited file, or all: every one of them is text."""
    names = table.column_names
    kept = [place for place, name in enumerate(names) if wanted.every or name in wanted.names]
    rest = {name: "" for name in names if not wanted.every and name not in wanted.names}
    return with_unread(table.select(kept), rest | dict(unread))


def _read_parquet(part: Part, wanted: Wanted) -> tuple[pa.Table, Rows]:
    file, groups = _open(part["path"]), list(range(part["start"], part["stop"]))
    with _whole(part["path"]):
        empty = _without_values(file.metadata, groups) if wanted.every else set()
        kept = {f.name for f in file.schema_arrow if f.name in wanted.names or f.name in empty or wanted.reads(f)}
        before = sum(file.metadata.row_group(group).num_rows for group in range(part["start"]))
        table = file.read_row_groups(groups, columns=[name for name in file.schema_arrow.names if name in kept])
        unread = {field.name: str(field.type) for field in file.schema_arrow if field.name not in kept}
    return with_unread(table, unread), Numbered(before + 1)


def _without_values(metadata: Any, groups: Sequence[int]) -> set[str]:
    """The columns of single values that hold nothing: whatever wrote them guessed their type, which may be text."""
    empty = set(range(metadata.num_columns)) if groups else set()
    for group in groups:
        row_group = metadata.row_group(group)
        for place in list(empty):
            known = row_group.column(place).statistics
            if known is None or not known.has_null_count or known.null_count < row_group.num_rows:
                empty.remove(place)
    return {metadata.schema.column(place).path for place in empty}


def _with_partition(table: pa.Table, given: Mapping[str, str | None], wanted: Wanted) -> pa.Table:
    """The table with the columns that its folders stand for; one that the file has too is the file's."""
    unread, complete = unread_of(table)
    for name, value in given.items():
        if name in table.column_names or name in unread:
            continue
        if wanted.every or name in wanted.names:
            table = table.append_column(name, pa.repeat(pa.scalar(value, pa.string()), table.num_rows))
        else:
            unread[name] = "partition"
    return with_unread(table, unread, complete)


def _open(path: str) -> Any:
    start = head(path)
    if not start.startswith(PARQUET) and (found := no_table(start)):
        raise DataError(f"{path}: is {found}")
    fs, inner = Place(path).filesystem
    with _whole(path):
        return pq.ParquetFile(inner, filesystem=fs)


@contextlib.contextmanager
def _whole(path: str) -> Iterator[None]:
    """A context in which errors of reading a Parquet file become DataErrors that name it."""
    try:
        yield
    except pa.ArrowInvalid as error:
        if "Expected all lists to be of size" not in str(error):
            raise DataError(_broken(path, error)) from None
        raise DataError(
            f"{path}: has lists of one size (fixed_size_list) of which some are absent, which Arrow writes and cannot "
            "read; write that column as lists of any size"
        ) from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(_broken(path, error)) from None


def _broken(path: str, error: Exception) -> str:
    return f"{path}: is not a whole Parquet file ({' '.join(str(error).split())}); write or fetch it again"
