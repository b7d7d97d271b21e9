"""Related items: what follows an item, what is like it, and what follows those, with nothing trained but a few weights.

    score(item | history) = sum over parts f of weight_f * part_f(item)

The parts are those of a memory (`layers.recall`): counted transitions in one step and in two, words of titles in
common, alike vectors. The weights are fitted to what validation's users took next (`ops.blend`). B histories, N items,
F parts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.store import Place
from unisid.artifacts.vectors import item_vectors
from unisid.baselines import Baseline, BaselineConfig, Histories, validation_rows
from unisid.bounds import CountOrNone, Seed
from unisid.layers import history
from unisid.layers.new_items import offset_of, raised
from unisid.layers.part_weights import PartWeights
from unisid.layers.recall import Memory, MemoryConfig
from unisid.ops.blend import weighted_sum
from unisid.ops.related import PAD

CANDIDATES = 256
"""The best items of a validation sample; the rank of its target among them fits the parts' weights."""
AT_ONCE = 128
"""Validation samples whose parts are made at once."""


@dataclass(frozen=True, kw_only=True)
class Config(BaselineConfig):
    """Which relations there are."""

    memory: MemoryConfig = field(default_factory=MemoryConfig)
    """The relations. Nouns of `alike` that the recipe leaves out relate nothing."""
    validation_samples: CountOrNone = 8000
    """Validation samples that decide, drawn by seed where there are more."""
    seed: Seed = 42
    """Draws the validation samples."""

    @property
    def reads(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("catalog", *self.memory.alike)

    def build(self, catalog: Catalog) -> Baseline:
        return self.fitted(catalog, {})

    def build_from(self, inputs: Mapping[str, Place]) -> Baseline:
        vectors = item_vectors(inputs, self.memory.alike)
        return self.fitted(Catalog.read(inputs["catalog"]), vectors)

    def fitted(self, catalog: Catalog, vectors: Mapping[str, NDArray[np.float32]]) -> "RelatedItems":
        """As `build`, with item vectors by noun."""
        made = RelatedItems(self.memory, catalog.num_items)
        made.count(catalog, {noun: torch.from_numpy(values) for noun, values in vectors.items()})
        rows = validation_rows(catalog, self.validation_samples, self.seed)
        if len(rows):
            made.fit(catalog, rows)
        return made


class RelatedItems:
    """A fitted sum of parts."""

    def __init__(self, config: MemoryConfig, num_items: int) -> None:
        self.memory, self.num_items = Memory(config, num_items), num_items
        self.weights, self.counts = PartWeights([1.0] * len(self.memory.parts)), torch.zeros(num_items)
        self.chosen: dict[str, float] = {}
        self.new, self.new_offset = torch.zeros(num_items, dtype=torch.bool), 0.0

    def count(self, catalog: Catalog, vectors: Mapping[str, Tensor]) -> None:
        """Make the tables from the training interactions, the titles and the vectors."""
        self.counts = self.memory.count(catalog, vectors).float()
        self.weights.count(self.counts)

    def scores(self, histories: Histories) -> Float[Tensor, "B N"]:
        return raised(self._scores(latest_first(histories)), self.new, self.new_offset)

    def _scores(self, before: Int[Tensor, "B T"]) -> Float[Tensor, "B N"]:
        return weighted_sum(self.weights.of(before, self.counts), self._parts(before))

    def _parts(self, before: Int[Tensor, "B T"]) -> list[Float[Tensor, "B N"]]:
        return list(self.memory.of_all(self.memory.entries(before), before, self.num_items))

    def over(self, catalog: Catalog, vectors: Mapping[str, NDArray[np.float32]]) -> "RelatedItems":
        """The same for a catalogue that has more items after these, of which no training interaction is known."""
        num_items, titles = catalog.num_items, catalog.titles.to_pylist()
        found = RelatedItems(self.memory.config, num_items)
        held = self.memory.extended(self.memory.state_dict(), "", num_items - self.num_items)
        found.memory.load_state_dict(held)
        found.memory.take_in(self.num_items, {noun: torch.from_numpy(each) for noun, each in vectors.items()}, titles)
        found.weights, found.chosen = self.weights, self.chosen
        found.counts = functional.pad(self.counts, (0, num_items - self.num_items))
        found.new = torch.arange(num_items) >= self.num_items
        found.new_offset = offset_of(
            lambda read, _: found._scores(history.latest_first(read, (read != PAD).sum(1) - 1)),
            catalog,
            found.new,
            None,
        )
        return found

    def fit(self, catalog: Catalog, rows: NDArray[np.int64]) -> None:
        """Fit the weights to the targets of some samples."""

        def parts(histories: Histories) -> list[Float[Tensor, "B N"]]:
            return self._parts(latest_first(histories))

        fit_weights(parts, catalog, rows, self.weights, self.counts)
        self.chosen = self.weights.figures([part.name for part in self.memory.parts])


def fit_weights(
    parts: Callable[[Histories], list[Float[Tensor, "B N"]]],
    catalog: Catalog,
    rows: NDArray[np.int64],
    weights: PartWeights,
    counts: Float[Tensor, " N"],
    total: Callable[[Tensor], Tensor] = lambda tensor: tensor,
) -> None:
    """Fit the weights with which the targets of some samples are likeliest among the best items by the present ones.

    Args:
        rows: this worker's share of the samples; there may be none.
        counts: how often each item was taken in training.
        total: the sum of a tensor over all workers.
    """
    nothing = weights.values.new_zeros(0)
    found = [(nothing.view(0, 1, 1).expand(0, 1, len(weights)).half(), nothing.float(), nothing.long())]
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        histories = Histories.before(catalog, some)
        each = parts(histories)
        z = weights.z(latest_first(histories).to(counts.device), counts)
        top = weighted_sum(weights.at(z), each).topk(min(CANDIDATES, catalog.num_items), dim=1).indices
        is_target = top == torch.from_numpy(catalog.item[some].astype(np.int64)).to(top.device)[:, None]
        there = is_target.any(1)
        best = torch.stack([part.gather(1, top) for part in each], 2)[there]
        best = (best - best.amax(1, keepdim=True)).half()  # a constant of a sample fits nothing
        found.append((best, z[there], is_target[there].int().argmax(1)))
    values, zs, place = (torch.cat(part) for part in zip(*(found[1:] or found), strict=True))
    weights.fit(values, zs, torch.ones_like(values[:, :, 0], dtype=torch.bool), place, total)


def latest_first(histories: Histories) -> Int[Tensor, "B T"]:
    """The items of every history, the latest first, filled up with PAD."""
    before = np.full((len(histories), int(histories.lengths.max(initial=1))), PAD, np.int64)
    before[histories.rows, histories.ages] = histories.items
    return torch.from_numpy(before)
