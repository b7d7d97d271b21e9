"""Texts of an Arrow array, read one at a time, and their row numbers by a hash, over arrays that may be mapped.

A list and a dict of as many Python texts are about 200 bytes an item in every process. n texts.
"""

import abc
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import pyarrow as pa
from jaxtyping import Int32

from unisid.ops.semantic_ids import spell

CHUNK = 4096
"""Texts that an iteration converts at once."""


class Texts(Sequence[str]):
    """Texts that are made when they are read."""

    @abc.abstractmethod
    def _text(self, row: int) -> str:
        """One of them; the row is at least 0."""

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> list[str]: ...

    def __getitem__(self, row: int | slice) -> str | list[str]:
        rows = range(len(self))[row]
        return self._text(rows) if isinstance(rows, int) else [self._text(each) for each in rows]


@dataclass(frozen=True, eq=False)
class Strings(Texts):
    """An Arrow array of texts as a sequence; a missing one is ''."""

    values: pa.Array = field(repr=False)

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), CHUNK):
            for text in self.values.slice(start, CHUNK).to_pylist():
                yield text or ""

    def _text(self, row: int) -> str:
        return self.values[row].as_py() or ""


@dataclass(frozen=True, eq=False)
class Spelled(Texts):
    """The semantic ids of codes, each spelled when it is read."""

    codes: Int32[np.ndarray, "n L"] = field(repr=False)

    def __len__(self) -> int:
        return len(self.codes)

    def _text(self, row: int) -> str:
        return spell(self.codes[row].tolist())


class Numbers(Mapping[str, int]):
    """Text -> its row number among n texts; the last one of equal texts, as in a dict."""

    def __init__(self, texts: Sequence[str], starts: Int32[np.ndarray, " s"], rows: Int32[np.ndarray, " n"]) -> None:
        """Of texts and what `numbered` returns for them."""
        self.texts, self.buckets = texts, max(1, len(texts))
        self.starts, self.rows = starts.data, rows.data  # several times as fast as NumPy scalars

    def __getitem__(self, text: str) -> int:
        row = self._row(text)
        if row < 0:
            raise KeyError(text)
        return row

    def __contains__(self, text: object) -> bool:
        return self._row(text) >= 0

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def get(self, text: str, default: Any = None) -> Any:
        """The number of a text, or the default, as `dict.get`."""
        row = self._row(text)
        return default if row < 0 else row

    def _row(self, text: object) -> int:
        """The row; -1 where there is none."""
        if not isinstance(text, str):
            return -1
        bucket = _hash(text) % self.buckets
        for place in range(self.starts[bucket + 1] - 1, self.starts[bucket] - 1, -1):
            if self.texts[self.rows[place]] == text:
                return int(self.rows[place])
        return -1


def numbered(texts: Sequence[str]) -> tuple[Int32[np.ndarray, " s"], Int32[np.ndarray, " n"]]:
    """For `Numbers`: where each bucket starts [n + 1], one bucket a text, and the rows by bucket [n]."""
    buckets = max(1, len(texts))
    found = (np.fromiter(map(_hash, texts), np.uint64, len(texts)) % np.uint64(buckets)).astype(np.int64)
    ends = np.cumsum(np.bincount(found, minlength=buckets))
    return np.concatenate([[0], ends]).astype(np.int32), np.argsort(found, kind="stable").astype(np.int32)


def _hash(text: str) -> int:
    """64 bits, the same in every process; JSON may bring halves of surrogate pairs."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
