"""Raw files on any file system: told apart by content, decompressed, read in blocks of whole lines."""

import hashlib
import lzma
import os
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from unisid.artifacts.store import Place
from unisid.config import did_you_mean
from unisid.errors import DataError
from unisid.raw.content import HEAD, PARQUET, codec_of, no_table

WHOLE = 64 << 20
"""Up to this many bytes all of a file is hashed; above, `SAMPLES` blocks of it."""
BLOCK = 1 << 20
SAMPLES = 64
BROKEN = (OSError, EOFError, pa.ArrowInvalid, lzma.LZMAError)
"""What reading a damaged or forbidden file raises."""


def find(where: str, path: str, hint: str = "") -> str:
    """The path of a file that exists, made absolute. Raises DataError with the nearest name in its folder.

    Args:
        hint: where such a file may be had, as the end of the error.
    """
    if not path:
        raise DataError(f"{where}: no path is given; set it to the file that holds this table")
    place = Place.of(path)
    if kind_at(place) != pafs.FileType.File:
        parent, _, name = place.uri.rpartition("/")
        known = Place(parent).sizes() if parent and kind_at(Place(parent)) == pafs.FileType.Directory else {}
        raise DataError(f"{where}: there is no file '{path}'{did_you_mean(name, known)}{_left_behind(path) or hint}")
    return place.uri


def _left_behind(path: str) -> str:
    """Why a relative path that was right where a job was submitted from leads nowhere inside the job; else nothing."""
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ or "://" in path or path.startswith(("/", "~")):
        return ""
    return (
        "; a job sees its own copy of the working folder, without what cluster/runtime_env.yaml excludes (data/, "
        "...): give a URI, or an absolute path that all nodes share"
    )


def kind_at(place: Place) -> Any:
    """Whether there is a file, a folder or nothing."""
    fs, path = place.filesystem
    try:
        return fs.get_file_info(path).type
    except OSError as error:
        raise unreadable(place.uri, error) from None


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
        raise unreadable(path, error) from None
    return result.hexdigest()


def is_parquet(path: str) -> bool:
    """Whether a file is read as Parquet: by its name, or by its first bytes whatever it is called."""
    return path.lower().endswith(".parquet") or _head(path, "").startswith(PARQUET)


def open_input(path: str) -> Any:
    """A readable stream of text, decompressed where the content is compressed.

    Raises DataError where it is an archive, a workbook, an image or the like.
    """
    codec = codec_of(_head(path, ""))
    if found := no_table(_head(path, codec)):
        raise DataError(f"{path}: is {found}")
    return _opened(path, codec)


def head(path: str) -> bytes:
    """The first bytes of a file, decompressed."""
    return _head(path, codec_of(_head(path, "")))


def _head(path: str, codec: str) -> bytes:
    try:
        with _opened(path, codec) as stream:
            return bytes(stream.read(HEAD))
    except BROKEN as error:
        raise unreadable(path, error) from None


def _opened(path: str, codec: str) -> Any:
    fs, inner = Place(path).filesystem
    try:
        if codec == "xz":  # which Arrow lacks
            return lzma.open(fs.open_input_stream(inner, compression=None))
        return fs.open_input_stream(inner, compression=codec or None)
    except OSError as error:
        raise unreadable(path, error) from None


def read_whole(path: str) -> bytes:
    """All of a file, decompressed."""
    try:
        with open_input(path) as stream:
            return bytes(stream.read())
    except BROKEN as error:
        raise unreadable(path, error) from None


def unreadable(where: str, error: Exception) -> DataError:
    """The error of a file that is there and cannot be read."""
    return DataError(
        f"{where}: cannot be read ({error}); check rights and credentials, or fetch the file again: "
        "it may be damaged or cut off"
    )


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
    except BROKEN as error:
        raise unreadable(f"{path}, after line {number - 1}", error) from None
    if rest:
        yield number, rest
