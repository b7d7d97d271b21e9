"""A transformer over items whose vectors are pooled from their codes, a head, and a memory: what kinds share.

    x_i = mean over levels of E_l[code of i],    h = causal transformer of x

The codes are of equal rank, as product quantization makes them: the vector does not depend on their order. Every place
of a history has a target. The head is of the kind: `parallel` predicts every code by itself, `retrieval` compares h
with items' vectors. A memory (`layers.recall`) gives further parts of an item's score, whose weights validation fits
(`ops.blend`), as in `hierarchical`.

B histories or windows, T items, P positions with a target, N items, L levels, D width, C candidates, F parts.
"""

import functools
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from unisid.artifacts.catalog import Catalog
from unisid.backbones import NO_LIMITS, PAD, Backbone, BackboneConfig, Batch, Index, Limits, check_length
from unisid.backbones.parts.candidates import (
    CANDIDATES,
    TABLE,
    Candidates,
    best_items,
    fit_to,
    may_be_answered,
    require_sound,
)
from unisid.bounds import Count, Layers, Positive, ShareBelowOne, Width
from unisid.decoding.beam import Beam, Ranked, check, widest
from unisid.errors import ConfigError
from unisid.layers.dense import training_counts
from unisid.layers.history import Seen, seen_at_end, seen_in_windows
from unisid.layers.new_items import offset_of, raised
from unisid.layers.part_weights import PartWeights, with_weights
from unisid.layers.recall import Memory, MemoryConfig
from unisid.layers.renumbered import counted
from unisid.layers.transformer import CausalTransformer, start
from unisid.ops.blend import weighted_sum


@dataclass(frozen=True, kw_only=True)
class PooledConfig(BackboneConfig):
    """Base of the settings: the transformer, and what is added to the head's scores."""

    width: Width = 64
    """D: of hidden vectors and of everything that is compared with them."""
    num_layers: Layers = 2
    """Blocks of the transformer."""
    num_heads: Layers = 2
    """Attention heads of a block."""
    feedforward_width: Width = 256
    """Inner width of a block's feed-forward part."""
    dropout: ShareBelowOne = 0.5
    """Share of values that training zeroes, in attention weights and between layers."""
    temperature: Positive = 0.07
    """What cosines are divided by before the softmax."""
    memory: MemoryConfig | None = field(default_factory=MemoryConfig)
    """Which related items are recalled, if any."""
    max_length: Count = 256
    """Items of a history that can be read; at least the catalogue's `history_length`."""

    @property
    def learns_from(self) -> Literal["samples", "windows"]:
        return "windows"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.num_heads:
            raise ConfigError(f"{self.kind}: width {self.width} over {self.num_heads} heads; must divide evenly")

    def vectors(self) -> tuple[str, ...]:
        return self.memory.alike if self.memory else ()

    def fits_history(self, length: int) -> None:
        check_length(self.kind, self.max_length, length)


@dataclass(frozen=True)
class States:
    """The encoding of P positions: the transformer's state, and the items before."""

    hidden: Float[Tensor, "P D"]
    seen: Seen


class Pooled(Backbone):
    """The transformer, the codes' vectors and the memory; a kind adds its head."""

    counts: Tensor
    new_offset: float = 0.0
    """What is added to the score of an item that is new (`layers.new_items`)."""
    names: tuple[str, ...]
    """Of the head's own parts, the first of which has weight 1 before validation, the others 0."""
    fits_excluded = False
    """Whether the items of a history are candidates when weights are fitted, although none is answered."""

    def __init__(self, config: PooledConfig, index: Index, names: tuple[str, ...]) -> None:
        super().__init__()
        self.config, self.names = config, names
        self.codes = nn.Embedding(sum(index.sizes), config.width)
        sizes = (config.width, config.num_layers, config.num_heads, config.feedforward_width)
        self.transformer = CausalTransformer(*sizes, config.dropout, config.max_length)
        start(self)
        self.memory = Memory(config.memory, len(index.codes)) if config.memory is not None else None
        recalled = [TABLE] * len(self.memory.parts if self.memory is not None else ())
        weights = [1.0, *[0.0] * (len(names) - 1), *recalled]
        self.part_weights = PartWeights(weights)
        self.register_buffer("counts", torch.zeros(len(index.codes)))

    # What a kind brings

    @abstractmethod
    def head_loss(self, states: States, targets: Int[Tensor, " P"], index: Index) -> Float[Tensor, ""]:
        """The mean loss over positions."""

    @abstractmethod
    def head_parts(self, states: States, index: Index) -> Iterator[Float[Tensor, "P N"]]:
        """The head's own parts of every item's score, in the order of `names`; the first is log p."""

    # What is kept beside the weights

    def count(self, catalog: Catalog, index: Index) -> None:
        check_length(self.config.kind, self.config.max_length, catalog.history_length)
        self.counts.copy_(training_counts(catalog))
        self.part_weights.count(self.counts)
        if self.memory is not None:
            self.memory.count(catalog, index.vectors)

    def load(self, weights: Mapping[str, Tensor], index: Index) -> None:
        held, added = with_weights(weights), len(index.codes) - len(weights["counts"])
        held["counts"] = functional.pad(held["counts"], (0, added))
        if self.memory is not None:
            held = self.memory.extended(held, "memory.", added)
        self.load_state_dict(held)
        if added and self.memory is not None:  # new items are recalled by what they are like
            self.memory.take_in(len(index.codes) - added, index.vectors, index.titles)

    def renumbered(self, weights: Mapping[str, Tensor], was: Int[Tensor, " N"], index: Index) -> Mapping[str, Tensor]:
        return with_weights(weights) | counted(self, weights["counts"], was)

    # Vectors and states

    def item_vectors(self, tokens: Int[Tensor, "n L"]) -> Float[Tensor, "n D"]:
        """Vectors of items, from their tokens: the mean of the codes' vectors."""
        return functional.embedding_bag(tokens, self.codes.weight, mode="mean")

    def hidden(self, histories: Int[Tensor, "B T"], index: Index) -> Float[Tensor, "B T D"]:
        """The states after every item of a history."""
        tokens = index.tokens(histories.clamp_min(0))
        vectors = self.item_vectors(tokens.flatten(0, 1)).view(*histories.shape, -1)
        found: Tensor = self.transformer(vectors)
        return found.float()

    def last_states(
        self, histories: Int[Tensor, "B T"], index: Index, taken: Int[Tensor, "B E"] | None = None
    ) -> States:
        """The states after each whole history, which holds the last of all that was taken."""
        histories = histories[:, -self.config.max_length :]
        rows = torch.arange(len(histories), device=histories.device)
        hidden = self.hidden(histories, index)[rows, (histories != PAD).sum(1) - 1]
        return States(hidden, seen_at_end(histories if taken is None else taken, self.config.max_length))

    # Learning

    def loss(self, batch: Batch, index: Index) -> Float[Tensor, ""]:
        real = batch.targets != PAD
        states = States(self.hidden(batch.histories, index)[real], seen_in_windows(batch.histories, real))
        return self.head_loss(states, batch.targets[real], index)

    # Searching

    def parts_of_all(self, states: States, index: Index) -> Iterator[Float[Tensor, "B N"]]:
        """All parts of every item's score, one after the other."""
        yield from self.head_parts(states, index)
        if self.memory is not None:
            before = states.seen.before
            yield from self.memory.of_all(self.memory.entries(before), before, len(index.codes))

    def weights_of(self, states: States) -> Float[Tensor, "B F"]:
        """The weights of the parts of every history's scores."""
        return self.part_weights.of(states.seen.before, self.counts)

    def weigh_new(self, catalog: Catalog, index: Index, share: float | None = None) -> float:
        self.new_offset = offset_of(functools.partial(self._scores, index), catalog, self.counts == 0, share)
        return self.new_offset

    def _scores(
        self, index: Index, histories: Int[Tensor, "B T"], taken: Int[Tensor, "B E"] | None
    ) -> Float[Tensor, "B N"]:
        """Scores of all items; those of new items are not raised."""
        states = self.last_states(histories, index, taken)
        return weighted_sum(self.weights_of(states), self.parts_of_all(states, index))

    def search(
        self,
        histories: Int[Tensor, "B T"],
        index: Index,
        *,
        k: int,
        beam: Beam,
        limits: Limits = NO_LIMITS,
        renormalised: bool = False,
    ) -> Ranked:
        """Exact: every item is scored. Scores are log p where there is one part, sums of parts else."""
        check(k, max(k, widest(beam)), len(index.codes))
        scores = raised(self._scores(index, histories, limits.taken), self.counts == 0, self.new_offset)
        if renormalised:
            scores = scores.log_softmax(1)
        require_sound(scores.isfinite().all())
        return best_items(scores, index, k, limits)

    def likeliest(self, histories: Int[Tensor, "B T"], index: Index, *, k: int, limits: Limits = NO_LIMITS) -> Ranked:
        scores = next(iter(self.head_parts(self.last_states(histories, index, limits.taken), index)))
        return best_items(scores, index, k, limits)

    def blend(
        self, samples: Iterable[tuple[Batch, Limits]], index: Index, total: Callable[[Tensor], Tensor]
    ) -> dict[str, float]:
        names = [*self.names, *(part.name for part in (self.memory.parts if self.memory is not None else ()))]
        if len(names) > 1:
            found = (self.candidates(*sample, index).judged(sample[0].targets) for sample in samples)
            fit_to(found, self.part_weights, total)
        return self.part_weights.figures(names)

    @torch.no_grad()
    def candidates(self, batch: Batch, limits: Limits, index: Index) -> Candidates:
        """The best candidates of validation samples, with the parts of their scores."""
        states = self.last_states(batch.histories, index, limits.taken)
        parts = list(self.parts_of_all(states, index))
        items = torch.arange(len(index.codes), device=parts[0].device).expand_as(parts[0])
        real = may_be_answered(items, index, replace(limits, excluded=None) if self.fits_excluded else limits)
        z = self.part_weights.z(states.seen.before, self.counts)
        scores = weighted_sum(self.part_weights.at(z), parts).masked_fill(~real, -torch.inf)
        top = scores.topk(min(CANDIDATES, scores.shape[1]), dim=1).indices
        return Candidates(top, torch.stack([part.gather(1, top) for part in parts], 2), real.gather(1, top), z)
