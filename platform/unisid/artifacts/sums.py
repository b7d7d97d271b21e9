"""Checksums of files: CRC-32 as zlib computes it, written as 'crc32:89abcdef'.

A writer leaves a file's checksum as the name of an empty file in `.sums`, before the file itself appears; so one
listing has them all, whichever process or machine wrote what, and a file that is there has its checksum there too.
"""

import re
import zlib
from collections.abc import Iterable
from typing import Any

LEFT = ".sums"
"""Where checksums lie until the record has them."""
KIND = "crc32:"
BLOCK = 16 << 20
"""Bytes that are read at a time where a whole file goes by."""


class Summed:
    """An output stream that adds up the size and the checksum of what passes."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.size, self.total = stream, 0, 0

    @property
    def sum(self) -> str:
        return f"{KIND}{self.total:08x}"

    @property
    def closed(self) -> bool:
        return bool(self.stream.closed)

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.stream.write(data)
        self.size, self.total = self.size + size, zlib.crc32(data, self.total)
        return size

    def flush(self) -> None:
        self.stream.flush()

    def close(self) -> None:
        """Does nothing: the stream is closed where it was opened."""

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def checksum(stream: Any) -> str:
    """The checksum of what is left to read of an input of Arrow's; what is memory-mapped is not copied."""
    total = 0
    while len(block := stream.read_buffer(BLOCK)):
        total = zlib.crc32(block, total)
    return f"{KIND}{total:08x}"


def known(text: str) -> bool:
    """Whether a recorded checksum is of a kind that this version computes."""
    return text.startswith(KIND)


def left_as(name: str, size: int, checksum: str) -> str:
    """Name of the empty file that keeps another file's size and checksum."""
    return f"{size}-{checksum.removeprefix(KIND)}-{name}"


def left_there(names: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Name -> size and checksum, of the files of which writers left one only.

    Several lie there where a file was written more than once with other bytes: which of them won, only the file says.
    """
    found: dict[str, set[tuple[int, str]]] = {}
    for entry in names:
        if parts := re.fullmatch(r"(\d+)-([0-9a-f]{8})-(.+)", entry):
            found.setdefault(parts[3], set()).add((int(parts[1]), KIND + parts[2]))
    return {name: entries.pop() for name, entries in found.items() if len(entries) == 1}
