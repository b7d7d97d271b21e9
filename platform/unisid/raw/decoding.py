"""Bytes of a text file as UTF-8, whatever they were written in; errors name the encoding and the line."""

import re

import pyarrow as pa

from unisid.errors import ConfigError, DataError
from unisid.raw.content import HEAD, marked_encoding
from unisid.raw.rows import shown

UTF8 = re.compile(r"utf[-_]?8", re.IGNORECASE)
AROUND = 12
"""How many bytes before a wrong one an error shows."""


def check_encoding(encoding: str) -> None:
    """Raises ConfigError where Python has no such encoding of text; the empty one stands for UTF-8."""
    try:
        "a".encode(encoding or "utf8")
    except (LookupError, ValueError):
        raise ConfigError(
            f"catalog.dataset.encoding: there is no encoding of text '{shown(encoding)}'; known are "
            "utf-8, utf-16, latin-1, cp1252 and the others of Python"
        ) from None


def decoded(data: bytes, path: str, encoding: str = "", first: int = 1) -> bytes:
    """The bytes as UTF-8 without a byte order mark; a mark counts more than the given encoding.

    Args:
        first: the number of the first line.
    Raises:
        DataError: where they are no text in that encoding, with the line.
    """
    codec = marked_encoding(data[:4]) or encoding or "utf8"
    if codec == "utf-8-sig":
        data, codec = data[3:], "utf8"
    try:
        if not UTF8.fullmatch(codec):
            data = data.decode(codec).encode("utf8")
        elif not _is_utf8(data):
            data.decode("utf8")
    except UnicodeError as error:
        if not isinstance(error, UnicodeDecodeError):  # of encodings such as punycode and idna, which say no place
            raise DataError(
                f"{path}: is not {_name(codec)} ({shown(error)}); set catalog.dataset.encoding to the encoding it was "
                "written in"
            ) from None
        remedy = "; set catalog.dataset.encoding to the encoding it was written in, such as cp1252 or latin-1"
        raise DataError(
            f"{path}, line {_line(data, codec, error.start) + first}: is not {_name(codec)} (byte "
            f"0x{data[error.start]:02x} after '{_before(data, codec, error.start)}'){_wide(data) or remedy}"
        ) from None
    if (place := data.find(0)) >= 0:
        raise DataError(
            f"{path}, line {data.count(10, 0, place) + first}: holds the byte 0 and is no text"
            f"{_wide(data) or '; write it again, or give the file that was meant'}"
        )
    return data


def _is_utf8(data: bytes) -> bool:
    offsets = pa.array([0, len(data)], pa.int64()).buffers()[1]
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(data)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _wide(data: bytes) -> str:
    """The encoding whose every other byte is 0, as the end of an error; nothing where they are not."""
    for order, rest in (("le", data[1:HEAD:2]), ("be", data[0:HEAD:2])):
        if rest.count(0) > len(rest) // 2 and any(data[:HEAD]):
            return f"; it looks like UTF-16 without a byte order mark: set catalog.dataset.encoding to utf-16-{order}"
    return ""


def _line(data: bytes, codec: str, place: int) -> int:
    return data[:place].decode(codec, "ignore").count("\n")


def _before(data: bytes, codec: str, place: int) -> str:
    text = data[max(0, place - AROUND) : place].decode(codec, "ignore")
    return shown(text.rpartition("\n")[2])


def _name(codec: str) -> str:
    return "UTF-8" if UTF8.fullmatch(codec) else codec
