"""Reads the fused stage's input vectors of any items from the memory-mapped artifacts.

N items, n items, B chosen of these, T rows of a modality of them all, S its width, K rows where all items have as many.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.embeddings import Embeddings
from unisid.artifacts.graph import Graph
from unisid.artifacts.roles import name_of, noun_of
from unisid.artifacts.shards import Shards
from unisid.artifacts.store import Place
from unisid.errors import DataError
from unisid.fusion import GRAPH, TEXT, Items, in_order
from unisid.ops.ragged import Ragged, pack
from unisid.ops.seeded import sampled

KEPT = 0
"""Nothing is hidden of an item; m + 1: its m-th modality is."""


@dataclass(frozen=True)
class Rows:
    """One modality of n items."""

    values: Float[Tensor, "T S"]
    """Item after item."""
    lengths: Int[Tensor, "n"]
    each: int = 0
    """K where every item has as many; 0: any number each, which are packed by length."""

    @classmethod
    def one(cls, name: str, vectors: Float[Tensor, "n S"]) -> "Rows":
        """A single vector an item; of texts, rows as token states are."""
        return cls(vectors, torch.ones(len(vectors), dtype=torch.int64), each=0 if name == TEXT else 1)

    @classmethod
    def several(cls, layers: Float[Tensor, "n K S"]) -> "Rows":
        """K rows of every item."""
        count, each, _ = layers.shape
        return cls(layers.flatten(0, 1), torch.full((count,), each), each)

    def mean(self) -> Float[Tensor, "n S"]:
        """The mean of every item's rows."""
        if self.each:
            return self.values.view(-1, self.each, self.values.shape[1]).mean(dim=1)
        return torch.segment_reduce(self.values.float(), "mean", lengths=self.lengths)

    def part(self, start: int, stop: int) -> "Rows":
        """Those of items start to stop."""
        ends = torch.cat([torch.zeros(1, dtype=torch.int64), self.lengths.cumsum(0)])
        return Rows(self.values[int(ends[start]) : int(ends[stop])], self.lengths[start:stop], self.each)

    def packed(self, chosen: Int[Tensor, "B"], hidden: Bool[Tensor, " B"]) -> tuple[Ragged, Int[Tensor, "B"]]:
        """Those of some items, zero where hidden; and `order`: item order[k] of these lies at place k."""
        if self.each:
            values = self.values.view(-1, self.each, self.values.shape[1])[chosen]
            values[hidden] = 0
            return Ragged.rectangle(values), torch.arange(len(chosen))
        starts = (self.lengths.cumsum(0) - self.lengths)[chosen]
        return pack(self.values, torch.where(hidden | (self.lengths[chosen] == 0), -1, starts), self.lengths[chosen])


@dataclass(frozen=True)
class Known:
    """All that is known of n items, nothing hidden."""

    modalities: Mapping[str, Rows]
    """In the order of `fusion.in_order`."""
    items: Int[Tensor, "n"]
    """Their numbers."""
    interactions: Int[Tensor, "n"] | None = None
    """Training interactions of each; None: they have none."""

    def means(self) -> dict[str, Float[Tensor, "_ _"]]:
        """The mean of every item's rows, by modality."""
        return {name: rows.mean() for name, rows in self.modalities.items()}

    def view(self, rows: Int[np.ndarray, " B"], hidden: Int[np.ndarray, " B"]) -> tuple[Items, Int[np.ndarray, " B"]]:
        """Some of them (rows may repeat), each with something hidden; and where each of them lies in the answer.

        Items lie as the first modality, the text, packs best; others that are packed by length have an order of their
        own within.
        """
        chosen, hides = torch.from_numpy(rows), torch.from_numpy(hidden)
        (first, text), *others = self.modalities.items()
        packed, order = text.packed(chosen, hides == 1)
        found = {first: packed}
        for number, (name, each) in enumerate(others, 2):
            packed, own = each.packed(chosen[order], hides[order] == number)
            found[name] = packed if each.each else replace(packed, order=own)
        place = np.empty(len(rows), np.int64)
        place[order.numpy()] = np.arange(len(rows))
        counts = None if self.interactions is None else self.interactions[chosen[order]]
        return Items(found, self.items[chosen[order]], interactions=counts), place


@dataclass(frozen=True)
class Reader:
    """Where the inputs lie; cheap to send to a worker."""

    inputs: Mapping[str, Place]
    """The catalog, the graph and all embeddings, by role."""
    states: bool
    """Read token states where they were kept; if not, the pooled vector is an item's only token."""
    of: int = 0
    """Items are given by their places in a sample of about so many (`ops.seeded.sampled`); 0: by their numbers."""

    @functools.cached_property
    def roles(self) -> dict[str, str]:
        """Modality -> the role of what holds it: 'text' is in the embeddings that have no name."""
        roles = {name_of(role) or TEXT: role for role in self.inputs if noun_of(role) == "embeddings"}
        roles[GRAPH] = "graph"
        return {name: roles[name] for name in in_order(roles)}

    @property
    def widths(self) -> dict[str, int]:
        """How wide every modality is."""
        return {name: self._graph.width if name == GRAPH else self._embeddings[name].width for name in self.roles}

    @functools.cached_property
    def sample(self) -> Int[np.ndarray, " n"] | None:
        """The numbers of the items of the sample, in order; None where there is no sample."""
        num_items = len(self._shards[GRAPH])
        return np.flatnonzero(sampled(0, num_items, num_items, self.of)) if self.of else None

    @property
    def num_items(self) -> int:
        """How many items can be read."""
        return len(self._shards[GRAPH]) if self.sample is None else len(self.sample)

    def states_of(self, name: str) -> int:
        """Of about how many items a modality's token states were kept; 0: of all, or it has none."""
        return 0 if name == GRAPH or not self._embeddings[name].has_states else self._embeddings[name].states_of

    def read(self, items: Int[np.ndarray, " n"], text: Rows | None = None) -> Known:
        """All that is known of some items.

        Args:
            text: their token states, where these are not read.

        Raises:
            DataError: an item's inputs hold NaN or infinity.
        """
        items = items if self.sample is None else self.sample[items]
        given = {TEXT: text} if text is not None else {}
        known = Known(
            {name: given.get(name) or self._rows(name, items) for name in self.roles},
            torch.from_numpy(items),
            torch.from_numpy(self._shards[GRAPH].read("degree", items).astype(np.int64)),
        )
        for name, rows in known.modalities.items():
            if not bool(rows.values.isfinite().all()):
                wrong = ~rows.values.isfinite().all(dim=1).numpy()
                raise self.not_finite(self.roles[name], np.unique(np.repeat(items, rows.lengths.numpy())[wrong]))
        return known

    def _rows(self, name: str, items: Int[np.ndarray, " n"]) -> Rows:
        if name == GRAPH:
            shape = self._graph.num_layers, self._graph.width
            found = self._shards[GRAPH].read_vectors("layers", shape[0] * shape[1], items)
            return Rows.several(torch.from_numpy(found.reshape(-1, *shape)))
        held = self._embeddings[name]
        if self.states and held.has_states:
            values, lengths = self._shards[name].read_ragged("states", items)
            return Rows(torch.from_numpy(values), torch.from_numpy(lengths))
        return Rows.one(name, torch.from_numpy(self._shards[name].read_vectors("pooled", held.width, items)))

    def text_only(self, items: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Which items no training interaction names."""
        return self._shards[GRAPH].read("degree", items) == 0

    def pooled(self) -> Float[np.ndarray, "N S"]:
        """The text vectors of all items, or of the sample's."""
        vectors = self._embeddings[TEXT].pooled(self.sample)
        if not np.isfinite(vectors.sum()):
            wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
            if len(wrong):
                raise self.not_finite("embeddings", wrong if self.sample is None else self.sample[wrong])
        return vectors

    def not_finite(self, role: str, items: Int[np.ndarray, " n"]) -> DataError:
        """The error that names the items, by their ids in the shop."""
        ids = Catalog.read(self.inputs["catalog"]).item_ids.take(items[:5]).to_pylist()
        names = ", ".join(repr(i) for i in ids) + (", ..." if len(items) > 5 else "")
        return DataError(
            f"{self.inputs[role]}: the vectors of {len(items)} items ({names}) hold NaN or infinity; "
            f"every value must be finite: make the {noun_of(role)} anew"
        )

    @functools.cached_property
    def _embeddings(self) -> dict[str, Embeddings]:
        return {name: Embeddings.read(self.inputs[role]) for name, role in self.roles.items() if name != GRAPH}

    @functools.cached_property
    def _shards(self) -> dict[str, Shards]:
        """Opened once: a step reads a few items of files as many as the catalogue has."""
        embeddings = {name: held.shards for name, held in self._embeddings.items()}
        return embeddings | {GRAPH: self._graph.items}

    @functools.cached_property
    def _graph(self) -> Graph:
        return Graph.read(self.inputs["graph"])

    def __reduce__(self) -> tuple[type["Reader"], tuple[Mapping[str, Place], bool, int]]:
        return (Reader, (self.inputs, self.states, self.of))
