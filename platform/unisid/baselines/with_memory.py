"""Another baseline with the memory and the repeat term of the recommender over items: what these alone are worth to it.

    score(item | history) = w log softmax(the baseline's scores)[item] + sum over parts f of w_f * part_f(item)

The parts are whether an item was taken, how lately, and those of a memory (`layers.recall`). They take no part in
training; the weights are fitted to what validation's users took next, each time validation ranks (`ops.blend`), the
history's items among the candidates although none is answered. B histories, N items.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.store import Place
from unisid.artifacts.vectors import item_vectors
from unisid.baselines import BaselineConfig, Histories, sasrec
from unisid.baselines.parts.learned import LearnedBaseline, LearnedConfig, Windows
from unisid.baselines.related import fit_weights, latest_first
from unisid.errors import ConfigError
from unisid.layers.history import taken_of_all
from unisid.layers.part_weights import PartWeights
from unisid.layers.recall import Memory, MemoryConfig
from unisid.ops.blend import weighted_sum

TABLE = 0.5
"""Weight of a part of the memory before validation; the baseline has 1."""


@dataclass(frozen=True, kw_only=True)
class Config(LearnedConfig):
    """The baseline, and which items are related."""

    baseline: BaselineConfig = field(default_factory=sasrec.Config)
    """Any kind that takes training."""
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    """The relations. Nouns of `alike` that the recipe leaves out relate nothing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.baseline, LearnedConfig) or isinstance(self.baseline, Config):
            raise ConfigError(
                f"with_memory.baseline: '{self.baseline.kind}' is not trained by steps of a loss; must be a kind that "
                "is, such as sasrec, gru4rec or hstu"
            )

    @property
    def reads(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(dict.fromkeys((*self.baseline.reads, *self.memory.alike)))

    def model(self, catalog: Catalog) -> "WithMemory":
        return self.around(catalog, {})

    def build_from(self, inputs: Mapping[str, Place]) -> "WithMemory":
        catalog = Catalog.read(inputs["catalog"])
        found = self.around(catalog, item_vectors(inputs, self.memory.alike))
        found.popularity = found.inner.popularity
        return found

    def around(self, catalog: Catalog, vectors: Mapping[str, NDArray[np.float32]]) -> "WithMemory":
        """As `model`, with item vectors by noun."""
        inner = self.baseline.build(catalog)
        assert isinstance(inner, LearnedBaseline)
        found = WithMemory(inner, Memory(self.memory, catalog.num_items), catalog.num_items)
        found.counts.copy_(
            found.memory.count(catalog, {noun: torch.from_numpy(each) for noun, each in vectors.items()})
        )
        found.part_weights.count(found.counts)
        return found


class WithMemory(LearnedBaseline):
    """The baseline, the memory, and the weights of the parts."""

    counts: Tensor

    def __init__(self, inner: LearnedBaseline, memory: Memory, num_items: int) -> None:
        super().__init__()
        self.inner, self.memory = inner, memory
        weights = [1.0, 0.0, 0.0, *[TABLE] * len(memory.parts)]
        self.part_weights = PartWeights(weights)
        self.register_buffer("counts", torch.zeros(num_items))

    def loss(self, windows: Windows) -> Float[Tensor, ""]:
        return self.inner.loss(windows)

    def count(self, windows: Windows) -> int:
        return self.inner.count(windows)

    def answer(self, histories: Histories) -> Float[Tensor, "B N"]:
        before = latest_first(histories).to(self.counts.device)
        return weighted_sum(self.part_weights.of(before, self.counts), self.parts(histories)).float()

    @torch.no_grad()
    def parts(self, histories: Histories) -> list[Float[Tensor, "B N"]]:
        """All parts of every item's score."""
        scores = self.inner.answer(histories)
        before = latest_first(histories).to(scores.device)
        past = before if histories.past is None else latest_first(histories.past).to(scores.device)
        held = self.memory.entries(before)
        recalled = self.memory.of_all(held, before, scores.shape[1])
        return [scores.float().log_softmax(1), *taken_of_all(past, scores.shape[1]), *recalled]

    def blend(self, catalog: Catalog, rows: NDArray[np.int64], total: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Fit the weights to the targets of validation samples; returns them by name."""
        rows = rows[catalog.history(rows)[1] > 0]  # an empty history is scored by popularity
        fit_weights(self.parts, catalog, rows, self.part_weights, self.counts, total)
        names = ["baseline", "taken", "taken_lately", *(part.name for part in self.memory.parts)]
        return self.part_weights.figures(names)
