"""The codes: every item's semantic id, and the way back.

Table `items-*.parquet`: `codes` [L], by item number. `weights.safetensors` and `tokenizer.json` hold the tokenizer
that made them; `quality.json` its report. Semantic ids are unique: `write_codes` refuses anything else. The record of
an index that extends another names its base. Published ids are unchanged, so models trained on the base index also
work with the extension.
N items, L levels.
"""

import bisect
import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unisid.artifacts.reading import damaged
from unisid.artifacts.record import Record, require
from unisid.artifacts.record_json import RECORD
from unisid.artifacts.store import Place
from unisid.artifacts.tables import read_vectors, table_names, write_tables
from unisid.errors import ArtifactError, DataError
from unisid.ops.distinct import sorted_unique
from unisid.ops.prefixes import row_keys

ROWS_PER_FILE = 1 << 20


def write_codes(place: Place, codes: NDArray[Any], sizes: tuple[int, ...]) -> None:
    """Write codes [N, L]; raises ArtifactError where one is out of its level's range or two items share a tuple."""
    if codes.min(initial=0) < 0 or (len(codes) and (codes.max(axis=0) >= np.array(sizes)).any()):
        raise ArtifactError(f"{place}: codes reach {codes.max(axis=0).tolist()}, the level sizes are {list(sizes)}")
    if len(sorted_unique(row_keys(codes))) != len(codes):
        raise ArtifactError(f"{place}: some items share a semantic id; resolve collisions first")
    values = np.ascontiguousarray(codes, np.int32)
    width = codes.shape[1]
    tables = (
        pa.table(
            {"codes": pa.FixedSizeListArray.from_arrays(pa.array(values[s : s + ROWS_PER_FILE].reshape(-1)), width)}
        )
        for s in range(0, max(1, len(values)), ROWS_PER_FILE)
    )
    write_tables(place, "items", tables)


@dataclass(frozen=True)
class Codes:
    """A read SID index, with lookup both ways."""

    place: Place
    record: Record

    @classmethod
    def read(cls, place: Place) -> "Codes":
        """Raises ArtifactError where no complete codes are."""
        return cls(place, require(place, "codes"))

    def with_arrays(self, codes: NDArray[np.int32], order: NDArray[np.int64]) -> "Codes":
        """The same index with its codes [N, L] and `order` [N], which were read before."""
        found = Codes(self.place, self.record)
        found.__dict__.update(codes=codes, order=order)  # where cached properties lie
        return found

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of codes of every level [L]."""
        sizes = self.record.counts.get("sizes")
        if not isinstance(sizes, list) or not sizes or not all(type(size) is int and size > 0 for size in sizes):
            raise damaged(self.place, RECORD, f"counts.sizes is {sizes!r}, must be the number of codes of every level")
        return tuple(sizes)

    @property
    def extends(self) -> tuple[str, ...]:
        """The fingerprints of the indexes that this one extends."""
        return tuple(entry["fingerprint"] for role, entry in self.record.inputs.items() if role.startswith("base"))

    @property
    def refreshes(self) -> dict[str, Any]:
        """Figures of a refresh: how these codes agree with the index they are named after; empty for no refresh."""
        found: dict[str, Any] = self.record.counts.get("refresh", {})
        return found

    @property
    def extension(self) -> dict[str, Any]:
        """Counts of what an extension added to its base; empty for no extension."""
        found: dict[str, Any] = self.record.counts.get("extension", {})
        return found

    @property
    def num_levels(self) -> int:
        """L."""
        return len(self.sizes)

    @property
    def num_tokens(self) -> int:
        """Codes of all levels together."""
        return sum(self.sizes)

    @functools.cached_property
    def codes(self) -> NDArray[np.int32]:
        """[N, L]."""
        found = read_vectors(self.place, "items", "codes", self.num_levels)
        if len(found) and (found.min() < 0 or (found.max(axis=0) >= np.array(self.sizes)).any()):
            raise damaged(
                self.place,
                table_names(self.place, "items")[0],
                f"codes reach {found.max(axis=0).tolist()}, the level sizes are {list(self.sizes)}",
            )
        return found

    @property
    def level_offsets(self) -> NDArray[np.int32]:
        """[L]: the first token of every level."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int32)

    def tokens(self, items: NDArray[Any]) -> NDArray[np.int32]:
        """Items [n] -> tokens [n, L]: the code plus its level's offset, so that no two levels share a token."""
        return self.codes[items] + self.level_offsets

    def find(self, prefix: tuple[int, ...]) -> NDArray[np.int64]:
        """The items whose codes begin with a prefix, by semantic id. A full tuple gives one item or none."""
        if len(prefix) > self.num_levels:
            raise DataError(f"semantic id {prefix}: has {len(prefix)} levels, this index has {self.num_levels}")
        low, high = 0, len(self.order)
        for level, code in enumerate(prefix):
            column = functools.partial(self._code, level)
            low = bisect.bisect_left(self.order, code, low, high, key=column)
            high = bisect.bisect_right(self.order, code, low, high, key=column)
        return self.order[low:high]

    def _code(self, level: int, item: int) -> int:
        return int(self.codes[item, level])

    @functools.cached_property
    def order(self) -> NDArray[np.int64]:
        """The items by semantic id."""
        return np.argsort(row_keys(self.codes))
