"""Several modalities, one vector an item. A fusion is a module here with a `Config` that builds a `Fusion`.

A modality is known by its name: `text` (the recipe's `embeddings`), `graph`, and whatever names the recipe's further
embeddings have. B items, b anchors of a worker, S width of a modality, W width of the fused vector.
"""

import abc
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unisid.bounds import NotNegative, Positive, Range, Settings, Share
from unisid.config import Json, PlugIn, did_you_mean, identity_where
from unisid.errors import ConfigError
from unisid.ops.contrast import info_nce
from unisid.ops.padding import PAD as PAD
from unisid.ops.ragged import Ragged

TEXT, GRAPH = "text", "graph"
"""The modalities that every recipe has."""
Gather = Callable[[Float[Tensor, "b W"]], Float[Tensor, "B W"]]
"""Brings the rows of all workers together, in rank order; gradients flow back."""


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Modalities in the one order that vectors and weights go by: text, graph, then all others by name."""
    first = {TEXT: 0, GRAPH: 1}
    return tuple(sorted(names, key=lambda name: (first.get(name, 2), name)))


def check_weights(weights: Iterable[str], widths: Iterable[str]) -> None:
    """Raise ConfigError where `fusion.weights` names a modality that is none of these."""
    for name in weights:
        if name not in widths:
            raise ConfigError(
                f"fusion.weights: no modality '{name}'{did_you_mean(name, widths)}; this recipe has "
                f"{', '.join(in_order(widths))}"
            )


@dataclass(frozen=True)
class Items:
    """What is known of B items, by modality. One that is missing or dropped is zero."""

    modalities: Mapping[str, Ragged]
    """Token states, graph layers or single vectors [n_i, S] of every item, all in the same order of items."""
    numbers: Int[Tensor, "B"] | None = None
    """Which items of the catalog they are, where that is known."""
    seed: int | None = None
    """Decides what is drawn once for all items, such as a dropout mask of what they have in common; None: torch's own
    state does. Workers that contrast their items with one another's must draw it alike: a mask of each worker's own
    shows whose an item is, and the loss falls by that alone."""
    interactions: Int[Tensor, "B"] | None = None
    """Training interactions of each, where they are counted; None: they have none."""

    def __len__(self) -> int:
        return len(next(iter(self.modalities.values())))

    def __getitem__(self, name: str) -> Ragged:
        return self.modalities[name]

    def to(self, device: torch.device) -> "Items":
        numbers, counts = (None if each is None else each.to(device) for each in (self.numbers, self.interactions))
        return Items({name: rows.to(device) for name, rows in self.modalities.items()}, numbers, self.seed, counts)


@dataclass(frozen=True, kw_only=True)
class Loss(Settings):
    """L = w_s L_struc + (1 - w_s) L_sem + w_r L_recon (UQF thesis, 4.3.2)."""

    where: ClassVar[str] = "fused.loss"

    structure_weight: Share = 0.4
    """w_s: how much shared users count; alike texts count 1 - w_s."""
    reconstruction_weight: NotNegative = 0.2
    """w_r."""
    reconstruction: Mapping[str, NotNegative] = field(
        default_factory=dict, metadata=identity_where(lambda loss: bool(loss.reconstruction))
    )
    """What a modality counts within L_recon, by its name; 1 where it is not named."""
    temperature: Positive = 0.05
    """tau, of both kinds of neighbours where they have none of their own."""
    structure_temperature: Positive | None = field(
        default=None, metadata=identity_where(lambda loss: loss.structure_temperature is not None)
    )
    """tau of the loss of shared users; left out: `temperature`."""
    semantic_temperature: Positive | None = field(
        default=None, metadata=identity_where(lambda loss: loss.semantic_temperature is not None)
    )
    """tau of the loss of alike texts; left out: `temperature`."""
    modality_dropout: Share = 0.2
    """The share of anchors that lose a modality, as many each. Positives lose nothing."""
    dropout: Mapping[str, Share] = field(default_factory=dict, metadata=identity_where(lambda loss: bool(loss.dropout)))
    """The share of anchors that lose a modality, by its name; one that is not named has an equal part of
    `modality_dropout`. No anchor loses two."""
    mask_known: bool = True
    """Known neighbours of an anchor do not count as its negatives. False: the thesis's form."""
    held_out: Annotated[float, Range(0, 1, above=True, below=True)] = 0.05
    """The share of items that are anchors of the validation loss alone."""

    @property
    def temperatures(self) -> tuple[float, float]:
        """tau of the loss of shared users, and of that of alike texts."""
        own = (self.structure_temperature, self.semantic_temperature)
        structure, semantic = (self.temperature if tau is None else tau for tau in own)
        return structure, semantic

    def dropped(self, names: tuple[str, ...]) -> tuple[float, ...]:
        """The share of anchors that lose each of the modalities.

        Raises:
            ConfigError: a modality is set that is none of these, or the shares are more than 1 together.
        """
        for setting, given in (("dropout", self.dropout), ("reconstruction", self.reconstruction)):
            for name in given:
                if name not in names:
                    raise ConfigError(
                        f"{self.where}.{setting}: no modality '{name}'{did_you_mean(name, names)}; this "
                        f"recipe has {', '.join(names)}"
                    )
        shares = tuple(self.dropout.get(name, self.modality_dropout / len(names)) for name in names)
        if sum(shares) > 1 + 1e-9:
            lost = ", ".join(f"{name} {share:.3g}" for name, share in zip(names, shares, strict=True))
            raise ConfigError(
                f"{self.where}.dropout: {lost} of the anchors are to lose a modality, {sum(shares):.3g} "
                "together; no anchor loses two, so must be at most 1"
            )
        return shares


@dataclass(frozen=True)
class Batch:
    """One worker's share of a global batch of B anchors. Every distinct (item, what is hidden) is encoded once."""

    items: Items
    where: Int[Tensor, "_"]
    """Where the anchors, then the structure positives, then the semantic positives lie among the items [3 b]."""
    targets: Mapping[str, Float[Tensor, "b _"]]
    """The mean of every modality's rows, of the anchors, nothing hidden: what is to be reconstructed."""
    own: Int[Tensor, "b"]
    """The anchors' places in the global batch."""
    structure_ignored: Bool[Tensor, "b B"]
    """Which of the global batch's structure positives are no negatives of an anchor."""
    semantic_ignored: Bool[Tensor, "b B"]

    def to(self, device: torch.device) -> "Batch":
        targets = {name: target.to(device) for name, target in self.targets.items()}
        tensors = (self.own, self.structure_ignored, self.semantic_ignored)
        return Batch(self.items.to(device), self.where.to(device), targets, *(each.to(device) for each in tensors))


@dataclass(frozen=True)
class Following:
    """One worker's share of a step of users' sequences: n rows of T items, and the U distinct targets of all workers'
    rows."""

    read: Int[Tensor, "n T"]
    """What users took, oldest first."""
    targets: Int[Tensor, "n T"]
    """What came next, at the places that count."""
    items: Items
    """The distinct targets of the whole step, with their numbers."""
    counts: Int[Tensor, "U"]
    """How often the whole step has each of them as its target."""
    own: Int[Tensor, "U"]
    """How often these rows have."""
    draws: Float[Tensor, " K"]
    """Uniform in [0, 1), the same on all workers: which items are negatives."""

    @property
    def num_targets(self) -> int:
        """The number of targets in these rows, over which losses are summed."""
        return int((self.targets != PAD).sum())

    def to(self, device: torch.device) -> "Following":
        tensors = (self.counts, self.own, self.draws)
        return Following(
            self.read.to(device), self.targets.to(device), self.items.to(device), *(each.to(device) for each in tensors)
        )


class Fusion(nn.Module, abc.ABC):
    """Maps items to vectors of `width`, each item by itself."""

    width: int
    reads_states: ClassVar[bool] = False
    """Whether embeddings come token by token, where they were kept; if not, the pooled vector is the only token."""

    @abc.abstractmethod
    def forward(self, items: Items) -> Float[Tensor, "B W"]: ...


class LearnedFusion(Fusion):
    """A fusion with weights. Its loss is contrast of neighbours and reconstruction, unless it has one of its own."""

    @abc.abstractmethod
    def reconstruct(self, vectors: Float[Tensor, "B W"]) -> Mapping[str, Float[Tensor, "B _"]]:
        """How well the vectors reconstruct the mean of every modality's rows, by name."""

    def loss(self, batch: Batch, settings: Loss, gather: Gather) -> dict[str, Float[Tensor, ""]]:
        """The loss of a worker's share, as 'loss', and its parts by name; each a mean over the anchors.

        A kind that learns from something else has its own, and its own settings beside these.
        """
        anchors, *positives = self(batch.items)[batch.where].chunk(3)
        structure, semantic = gather(torch.cat(positives, dim=1)).chunk(2, dim=1)
        missed = [
            settings.reconstruction.get(name, 1.0) * F.mse_loss(found, batch.targets[name])
            for name, found in self.reconstruct(anchors).items()
        ]
        shared, alike = settings.temperatures
        parts = {
            "structure": info_nce(anchors, structure, batch.own, batch.structure_ignored, shared),
            "semantic": info_nce(anchors, semantic, batch.own, batch.semantic_ignored, alike),
            "reconstruction": torch.stack(missed).sum(),
        }
        weights = (settings.structure_weight, 1 - settings.structure_weight, settings.reconstruction_weight)
        total = torch.stack([w * part for w, part in zip(weights, parts.values(), strict=True)]).sum()
        return {"loss": total, **parts}

    def chance(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """The chance level of each part of `loss`: its value if all vectors were equal, where there is one."""
        nothing = torch.zeros(len(batch.own), 1, device=batch.own.device)
        ignored = {"structure": batch.structure_ignored, "semantic": batch.semantic_ignored}
        return {name: info_nce(nothing, nothing, batch.own, each, 1.0) for name, each in ignored.items()}


class SequenceFusion(Fusion):
    """A fusion that learns from what users took after what, and has a vector of its own for every item of the catalog.

    It is built without these; `begin` gives it them. An item that it did not learn from, and one that came later, has
    a vector from its modalities alone.
    """

    trained: Bool[Tensor, " N"]
    """The items that it learned from; part of its state."""
    num_negatives: int = 1
    """K: how many draws it takes for negatives."""

    @abc.abstractmethod
    def begin(self, trained: Bool[Tensor, " N"], history_length: int) -> None:
        """Take first vectors for the items of a catalog; torch's random state decides them."""

    @abc.abstractmethod
    def loss(self, batch: Following) -> dict[str, Float[Tensor, ""]]:
        """The loss of a worker's share, as 'loss', and its parts by name; each a sum over the share's targets."""

    @abc.abstractmethod
    def chance(self, batch: Following) -> dict[str, Float[Tensor, ""]]:
        """The chance level of each part of `loss`: its value if all scores were equal."""


class FittedFusion(Fusion):
    """A fusion that compares items with references, which are items of the catalog and part of its state.

    It is built without these; `fit` gives it them, or `reserve` and then the weights that it had.
    """

    num_references: int
    """Of a larger catalog it is given about so many items, drawn by their numbers."""

    @property
    @abc.abstractmethod
    def count(self) -> int:
        """How many references it has."""

    @abc.abstractmethod
    def fit(self, items: Items) -> Json:
        """Take these items, with their numbers, as references; returns what was found out, for the record."""

    @abc.abstractmethod
    def reserve(self, count: int) -> None:
        """Make room for the weights of so many references."""


class FusionConfig(PlugIn):
    """Base of the settings of every fusion."""

    @abc.abstractmethod
    def build(self, widths: Mapping[str, int]) -> Fusion:
        """An unlearned fusion of modalities of these widths, whatever their order.

        Raises:
            ConfigError: a modality that it needs is not among them.
        """
