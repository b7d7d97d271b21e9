"""Reads what the fused stage knows of items, for any rows, from the memory-mapped artifacts.

n items, T tokens of them all, S text width, K graph layers, G graph width.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.embeddings import Embeddings
from unisid.artifacts.graph import Graph
from unisid.artifacts.store import Place
from unisid.errors import DataError
from unisid.fusion import Items
from unisid.ops.ragged import pack

KEPT, TEXT_DROPPED, GRAPH_DROPPED = 0, 1, 2
"""What is hidden of an item: nothing, its text, its graph layers."""


@dataclass(frozen=True)
class Known:
    """All that is known of n items, nothing hidden."""

    tokens: Float[Tensor, "T S"]
    lengths: Int[Tensor, "n"]
    graph: Float[Tensor, "n K G"]

    def means(self) -> tuple[Float[Tensor, "n S"], Float[Tensor, "n G"]]:
        """The mean token state and the mean graph layer."""
        text = torch.segment_reduce(self.tokens.float(), "mean", lengths=self.lengths)
        return text, self.graph.mean(dim=1)

    def view(self, rows: NDArray[np.int64], hidden: NDArray[np.int64]) -> tuple[Items, NDArray[np.int64]]:
        """Some of them (rows may repeat), each with something hidden; and where each of them lies in the answer."""
        chosen, hides = torch.from_numpy(rows), torch.from_numpy(hidden)
        starts = (self.lengths.cumsum(0) - self.lengths)[chosen]
        starts = torch.where((hides == TEXT_DROPPED) | (self.lengths[chosen] == 0), -1, starts)
        text, order = pack(self.tokens, starts, self.lengths[chosen])
        graph = self.graph[chosen[order]]
        graph[hides[order] == GRAPH_DROPPED] = 0
        place = np.empty(len(rows), np.int64)
        place[order.numpy()] = np.arange(len(rows))
        return Items(text, graph), place


@dataclass(frozen=True)
class Reader:
    """Where the inputs lie; cheap to send to a worker."""

    catalog: Place
    embeddings: Place
    graph: Place
    states: bool
    """Read token states; if not, the pooled vector is an item's only token."""

    def read(self, items: NDArray[np.int64]) -> Known:
        """Raises DataError where an item's inputs hold NaN or infinity."""
        if self.states:
            tokens, lengths = self._embeddings.shards.read_ragged("states", items)
        else:
            tokens, lengths = self._embeddings.pooled(items), np.ones(len(items), np.int64)
        known = Known(torch.from_numpy(tokens), torch.from_numpy(lengths), torch.from_numpy(self._graph.layers(items)))
        if not bool(known.tokens.isfinite().all()):
            wrong = ~known.tokens.isfinite().all(dim=1).numpy()
            raise self.not_finite("embeddings", np.unique(np.repeat(items, lengths)[wrong]))
        if not bool(known.graph.isfinite().all()):
            raise self.not_finite("graph", items[~known.graph.isfinite().flatten(1).all(dim=1).numpy()])
        return known

    def text_only(self, items: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which items no training interaction names."""
        return self._graph.items.read("degree", items) == 0

    def pooled(self) -> NDArray[np.float32]:
        """The text vectors of all items [N, S]."""
        vectors = self._embeddings.pooled()
        if not np.isfinite(vectors.sum()):
            wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
            if len(wrong):
                raise self.not_finite("embeddings", wrong)
        return vectors

    def not_finite(self, noun: str, items: NDArray[np.int64]) -> DataError:
        """The error that names the items, by their ids in the shop."""
        ids = Catalog.read(self.catalog).item_ids.take(items[:5]).to_pylist()
        names = ", ".join(repr(i) for i in ids) + (", ..." if len(items) > 5 else "")
        place = self.embeddings if noun == "embeddings" else self.graph
        return DataError(
            f"{place}: the vectors of {len(items)} items ({names}) hold NaN or infinity; "
            f"every value must be finite: make the {noun} anew"
        )

    @functools.cached_property
    def _embeddings(self) -> Embeddings:
        return Embeddings.read(self.embeddings)

    @functools.cached_property
    def _graph(self) -> Graph:
        return Graph.read(self.graph)

    def __reduce__(self) -> tuple[type["Reader"], tuple[Place, Place, Place, bool]]:
        return (Reader, (self.catalog, self.embeddings, self.graph, self.states))
