"""The fused vectors: one vector an item, from text and graph.

Shards `vectors-*.arrow`: `vector` [D] float32 and `text_only` (true where an item had no interactions and its
vector comes from text alone). Beside them, what is needed to fuse new items later: `weights.safetensors` and
`fusion.json`. N items, D width.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisid.artifacts.record import Record, require
from unisid.artifacts.shards import Shards
from unisid.artifacts.store import Place

FAMILY = "vectors"


@dataclass(frozen=True)
class Fused:
    """Read fused vectors, memory-mapped."""

    place: Place
    record: Record

    @classmethod
    def read(cls, place: Place) -> "Fused":
        """Raises ArtifactError where no complete fused vectors are."""
        return cls(place, require(place, "fused"))

    @property
    def shards(self) -> Shards:
        """All columns, by item number."""
        return Shards(self.place, FAMILY)

    @property
    def width(self) -> int:
        """D."""
        return self.record.count("width")

    def vectors(self, rows: NDArray[Any] | None = None) -> NDArray[np.float32]:
        """[n, D]."""
        return self.shards.read_vectors("vector", self.width, rows)

    def text_only(self) -> NDArray[np.bool_]:
        """[N]."""
        return self.shards.read("text_only")
