"""Raw files on any file system: found, told apart by content, read in blocks of whole lines."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from unisid.artifacts.store import Place
from unisid.config import did_you_mean
from unisid.errors import DataError

WHOLE = 64 << 20
"""Up to this many bytes all of a file is hashed; above, `SAMPLES` blocks of it."""
BLOCK = 1 << 20
SAMPLES = 64
TABLES = (".parquet", ".csv", ".tsv", ".csv.gz", ".tsv.gz")


def find(where: str, path: str) -> str:
    """The path of a file that exists, made absolute. Raises DataError with the nearest name in its folder."""
    if not path:
        raise DataError(f"{where}: no path is given; set it to the file that holds this table")
    place = Place.of(path)
    if _kind(place) != pafs.FileType.File:
        parent, _, name = place.uri.rpartition("/")
        known = Place(parent).sizes() if parent and _kind(Place(parent)) == pafs.FileType.Directory else {}
        raise DataError(f"{where}: there is no file '{path}'{did_you_mean(name, known)}")
    return place.uri


def find_tables(where: str, path: str) -> list[str]:
    """A table's files: the path itself, or the Parquet, CSV or TSV files of a folder, by name."""
    place = Place.of(path)
    if not path or _kind(place) != pafs.FileType.Directory:
        return [find(where, path)]
    names = [name for name in place.sizes() if name.endswith(TABLES)]
    if not names:
        raise DataError(f"{where}: the folder '{path}' holds no file that ends in {', '.join(TABLES)}")
    return [f"{place}/{name}" for name in names]


def _kind(place: Place) -> Any:
    fs, path = place.filesystem
    try:
        return fs.get_file_info(path).type
    except OSError as error:
        raise _unreadable(place.uri, error) from None


def digest(path: str) -> str:
    """A file's content by name: SHA-256 of its size and its bytes, or of evenly spaced blocks where it is large."""
    fs, inner = Place(path).filesystem
    try:
        with fs.open_input_file(inner) as file:
            size = file.size()
            result = hashlib.sha256(str(size).encode())
            spread = (size - BLOCK) / (SAMPLES - 1)
            starts = range(0, size, BLOCK) if size <= WHOLE else [int(i * spread) for i in range(SAMPLES)]
            for start in starts:
                file.seek(start)
                result.update(file.read(BLOCK))
    except OSError as error:
        raise _unreadable(path, error) from None
    return result.hexdigest()


def open_input(path: str) -> Any:
    """A readable stream, decompressed where the name says so (.gz, .bz2, .zst)."""
    fs, inner = Place(path).filesystem
    try:
        return fs.open_input_stream(inner)
    except OSError as error:
        raise _unreadable(path, error) from None


def read_whole(path: str) -> bytes:
    """All of a file, decompressed where the name says so."""
    try:
        with open_input(path) as stream:
            return bytes(stream.read())
    except (OSError, pa.ArrowInvalid) as error:
        raise _unreadable(path, error) from None


def _unreadable(where: str, error: Exception) -> DataError:
    return DataError(f"{where}: cannot be read ({error}); check rights and credentials, or fetch the file again: "
                     "it may be damaged or cut off")  # fmt: skip


def blocks(path: str, size: int = 64 << 20) -> Iterator[tuple[int, bytes]]:
    """The file in blocks of whole lines: (number of the first line, from 1; bytes)."""
    number, rest = 1, b""
    try:
        with open_input(path) as stream:
            while data := stream.read(size):
                whole, newline, data = data.rpartition(b"\n")
                if newline:
                    block, rest = rest + whole + newline, data
                    yield number, block
                    number += block.count(b"\n")
                else:
                    rest += data
    except (OSError, pa.ArrowInvalid) as error:
        raise _unreadable(f"{path}, after line {number - 1}", error) from None
    if rest:
        yield number, rest
