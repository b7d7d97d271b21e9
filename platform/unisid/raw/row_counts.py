"""About how many rows raw files have, without reading them: for what a plan may take."""

import pyarrow.parquet as pq

from unisid.artifacts.store import Place
from unisid.errors import UnisidError
from unisid.raw.content import PARQUET, codec_of
from unisid.raw.files import BROKEN
from unisid.raw.folders import Found
from unisid.raw.lake import table_at

FILES = 16
"""Files of a table that are looked at, at most; the others are taken to be like them, by their bytes."""
HEAD = 1 << 20
"""Bytes from which the length of a line is taken."""


def rows_of(files: list[Found]) -> int | None:
    """About how many rows the files of a table have; None where that takes reading them: compressed text, tables of a
    data lake, lines of JSON in one list."""
    looked = files[:: -(-len(files) // FILES)] if files else []
    rows, sizes = 0, 0
    for file in looked:
        counted = _rows(file.path)
        if counted is None:
            return None
        rows, sizes = rows + counted[0], sizes + counted[1]
    if len(looked) == len(files) or not sizes:
        return rows
    return round(rows * sum(_size(file.path) for file in files) / sizes)


def _rows(path: str) -> tuple[int, int] | None:
    """The rows of a file and its bytes."""
    try:
        if table_at(path) is not None:
            return None
        fs, inner = Place(path).filesystem
        with fs.open_input_file(inner) as file:
            size, head = file.size(), bytes(file.read(HEAD))
            if head.startswith(PARQUET):
                file.seek(0)
                return pq.ParquetFile(file).metadata.num_rows, size
        lines = head.count(b"\n")
        if codec_of(head) or not (lines or size == len(head)):
            return None
        return (max(lines, bool(head)), size) if size == len(head) else (round(size * lines / len(head)), size)
    except (UnisidError, *BROKEN):
        return None


def _size(path: str) -> int:
    fs, inner = Place(path).filesystem
    return int(fs.get_file_info(inner).size or 0)
