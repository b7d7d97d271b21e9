"""The graph: every item's vectors from the interaction graph, layer by layer.

Shards `items-*.arrow`: `layers` [(K + 1) * D] float32, e(0) first, and `degree`, the number of training edges
(0: the item has no training edge, its layers are zero). Shards `users-*.arrow`: `vector` [D], the mean over layers.
N items, K propagation layers, D width.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisid.artifacts.record import Record, require
from unisid.artifacts.shards import Shards
from unisid.artifacts.store import Place

ITEMS, USERS = "items", "users"


@dataclass(frozen=True)
class Graph:
    """A read graph, memory-mapped."""

    place: Place
    record: Record

    @classmethod
    def read(cls, place: Place) -> "Graph":
        """Raises ArtifactError where no complete graph is."""
        return cls(place, require(place, "graph"))

    @property
    def items(self) -> Shards:
        """All columns, by item number."""
        return Shards(self.place, ITEMS)

    @property
    def users(self) -> Shards:
        """All columns, by user number."""
        return Shards(self.place, USERS)

    @property
    def num_layers(self) -> int:
        """K + 1."""
        return self.record.count("layers")

    @property
    def width(self) -> int:
        """D."""
        return self.record.count("width")

    def layers(self, rows: NDArray[Any] | None = None) -> NDArray[np.float32]:
        """[n, K + 1, D]."""
        shape = (self.num_layers, self.width)
        return self.items.read_vectors("layers", self.num_layers * self.width, rows).reshape(-1, *shape)

    def degree(self) -> NDArray[np.int32]:
        """[N]."""
        return self.items.read("degree")
