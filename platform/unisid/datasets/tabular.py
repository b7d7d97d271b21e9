"""Tables in Parquet, CSV or TSV files: cut into parts, read by part."""

import csv
from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from unisid.artifacts.store import Place
from unisid.datasets import Part, part
from unisid.datasets.columns import is_text, item_table
from unisid.datasets.files import read_whole
from unisid.datasets.rows import Numbered, Rows
from unisid.errors import DataError

ROWS_PER_PART = 1 << 20


def parts_of(table: Literal["items", "interactions"], path: str) -> list[Part]:
    """A Parquet file in runs of row groups; any other file whole, for its lines cannot be counted unread."""
    if not path.endswith(".parquet"):
        return [part(table, path)]
    metadata = _open(path).metadata
    found, start, rows = [], 0, 0
    for group in range(metadata.num_row_groups):
        rows += metadata.row_group(group).num_rows
        if rows >= ROWS_PER_PART:
            found.append(part(table, path, start, group + 1))
            start, rows = group + 1, 0
    if start < metadata.num_row_groups or not found:
        found.append(part(table, path, start, metadata.num_row_groups))
    return found


def read_rows(part: Part, columns: Sequence[str] | None = None) -> tuple[pa.Table, Rows]:
    """A part's rows, of the given columns as far as they exist, and what errors call them."""
    path = part["path"]
    if not path.endswith(".parquet"):
        return read_csv(path, "\t" if ".tsv" in path.rpartition("/")[2] else ","), Numbered()
    file = _open(path)
    present = [name for name in file.schema_arrow.names if columns is None or name in columns]
    if columns is not None and len(present) < len(set(columns)):
        present = file.schema_arrow.names  # one is missing: the error that follows names all there are
    before = sum(file.metadata.row_group(group).num_rows for group in range(part["start"]))
    try:
        return file.read_row_groups(list(range(part["start"], part["stop"])), columns=present), Numbered(before + 1)
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(path, error) from None


def read_items(part: Part, item_id: str, title: str, further: tuple[str, ...]) -> pa.Table:
    """The items of a part; `further` empty: every text column beside id and title."""
    table, rows = read_rows(part, (item_id, title, *further) if further else None)
    rest = [field.name for field in table.schema if is_text(field.type) and field.name not in (item_id, title)]
    return item_table(table, part["path"], item_id, title, further or rest, rows)


def read_csv(path: str, delimiter: str = ",", names: Sequence[str] | None = None, encoding: str = "utf8",
             quoted: bool = True) -> pa.Table:  # fmt: skip
    """A delimited file, compressed or not, with every column as text (so '007' stays an id).

    Args:
        names: the columns, where the file has no header line.
        quoted: whether cells may stand in double quotes.
    """
    return parse_csv(read_whole(path), path, delimiter, names, encoding, quoted)


def parse_csv(data: bytes, where: str, delimiter: str, names: Sequence[str] | None = None, encoding: str = "utf8",
              quoted: bool = True) -> pa.Table:  # fmt: skip
    """`read_csv` of bytes already read; `where` is what errors call them."""
    header = list(names) if names else _header(data, where, delimiter, encoding)
    reading = pacsv.ReadOptions(column_names=list(names) if names else None, encoding=encoding, block_size=16 << 20)
    parsing = pacsv.ParseOptions(delimiter=delimiter, quote_char='"' if quoted else False, newlines_in_values=quoted)
    converting = pacsv.ConvertOptions(column_types={name: pa.string() for name in header})
    try:
        return pacsv.read_csv(pa.BufferReader(data), reading, parsing, converting)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        sign = "tab" if delimiter == "\t" else f"'{delimiter}'"
        raise DataError(f"{where}: cannot be read as a table with {sign} between columns ({error})") from None


def _header(data: bytes, where: str, delimiter: str, encoding: str) -> list[str]:
    line = data[: data.find(b"\n") + 1 or len(data)].strip(b"\r\n")
    if not line:
        raise DataError(f"{where}: is empty; its first line must hold the names of the columns")
    text = line.decode("utf-8-sig" if encoding == "utf8" else encoding, "replace")
    return next(csv.reader([text], delimiter=delimiter))


def _open(path: str) -> Any:
    fs, inner = Place(path).filesystem
    try:
        return pq.ParquetFile(inner, filesystem=fs)
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(path, error) from None


def _damaged(path: str, error: Exception) -> DataError:
    return DataError(f"{path}: is not a whole Parquet file ({error}); write or fetch it again")
