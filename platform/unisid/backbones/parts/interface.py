"""The interface of a backbone: histories and targets in items, what may be answered, and what each kind implements.

B samples, T items of the longest history, L levels, C compared items, N items.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unisid.artifacts.catalog import Catalog
from unisid.backbones.parts.index import PAD, Index
from unisid.decoding.beam import Beam, Ranked
from unisid.language.hugging_face import HuggingFace, none_of_it


@dataclass(frozen=True)
class Batch:
    """Histories and what followed them, in items; short rows are filled up with `PAD`."""

    histories: Int[Tensor, "B T"]
    targets: Int[Tensor, "B *T"]
    """[B]: the item after the whole history; or [B, T]: the one after every item of it."""

    @property
    def num_targets(self) -> int:
        """How many items are targets."""
        return int((self.targets != PAD).sum())

    def rows(self, rows: slice) -> "Batch":
        """Some of the samples."""
        return Batch(self.histories[rows], self.targets[rows])

    def to(self, device: torch.device) -> "Batch":
        return Batch(self.histories.to(device, non_blocking=True), self.targets.to(device, non_blocking=True))


@dataclass(frozen=True)
class Limits:
    """Which items may be answered, and which were taken before."""

    excluded: Int[Tensor, "B E"] | None = None
    """Items not to be answered, by sample; `PAD` fills short rows."""
    allowed: Bool[Tensor, "*samples N"] | None = None
    """Whether an item may be answered: [N] for all samples, or [B, N]."""
    taken: Int[Tensor, "B E"] | None = None
    """All that the user took, oldest first, of which a history holds the last; for backbones that learn whether items
    are taken again. `PAD` fills short rows."""
    floor: Float[Tensor, " B"] | None = None
    """A score that k items are known to reach; see `Backbone.prunes`."""


NO_LIMITS = Limits()


class Backbone(nn.Module):
    """A recommender to train and to decode."""

    prunes = False
    """Whether `search` drops all prefixes that score below `Limits.floor`, and so keeps no more than are above it."""

    @property
    def kind(self) -> str:
        """The name of its plug-in."""
        return type(self).__module__.removeprefix("unisid.backbones.").partition(".")[0]

    @abstractmethod
    def log_probs(
        self, histories: Int[Tensor, "B T"], targets: Int[Tensor, " B"], index: Index
    ) -> Float[Tensor, "B L"]:
        """log p(code of the target | history, codes before) by level; their sum is log p(target)."""

    @abstractmethod
    def loss(self, batch: Batch, index: Index) -> Float[Tensor, ""]:
        """The mean over targets (and levels, where a backbone learns each as a token) of what training minimises."""

    @abstractmethod
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
        """The best k items after every history.

        Args:
            beam: the prefixes that are kept at a level, or by level, where the search is not exact; the largest number
                where it has no levels.
            renormalised: scores are log probabilities among the items of the index alone, which add up to 1.
        """

    def log_probs_of(
        self, histories: Int[Tensor, "B T"], items: Int[Tensor, "B C"], index: Index
    ) -> Float[Tensor, "B C L"]:
        """`log_probs` of C items after every history, which is read once where a backbone can; of any item where one
        is `PAD`."""
        rows = histories.repeat_interleave(items.shape[1], 0)
        return self.log_probs(rows, items.clamp_min(0).flatten(), index).unflatten(0, items.shape)

    def likeliest(self, histories: Int[Tensor, "B T"], index: Index, *, k: int, limits: Limits = NO_LIMITS) -> Ranked:
        """The k items of highest `log_probs` alone, by k beams: `search` without what else a backbone's scores have."""
        return self.search(histories, index, k=k, beam=k, limits=limits)

    def draw(
        self,
        histories: Int[Tensor, "B T"],
        index: Index,
        *,
        k: int,
        temperature: float = 1.0,
        limits: Limits = NO_LIMITS,
    ) -> Int[Tensor, "B k"]:
        """k items after every history by torch's random state, each by itself, so that one may come twice; -1 where
        none may be answered. By `log_probs` over the items of the index that may, divided by the temperature."""
        scores = self.likeliest(histories, index, k=len(index.codes), limits=limits)
        chances = (scores.scores / temperature).softmax(1).nan_to_num(1.0)
        return scores.items.gather(1, torch.multinomial(chances, k, replacement=True))

    def count(self, catalog: Catalog, index: Index) -> None:
        """Take what is counted from the training interactions, once before training; nothing where none is."""

    def blend(
        self, samples: Iterable[tuple[Batch, Limits]], index: Index, total: Callable[[Tensor], Tensor]
    ) -> dict[str, float]:
        """Fit how much each part of a search's score counts to validation samples; returns the weights by name.

        By default a score has one part, and there is nothing to fit.

        Args:
            samples: this worker's share.
            total: the sum of a tensor over all workers.
        """
        return {}

    def weigh_new(self, catalog: Catalog, index: Index, share: float | None = None) -> float:
        """Raise the scores of items without training interactions to those of others; returns what is added to one.

        By default nothing is. Called once when a trained recommender is loaded; never while it trains.

        Args:
            catalog: whose training interactions show histories.
            share: of the probability, for new items together; None: their share of the catalogue; 0: nothing is added.
        """
        return 0.0

    def weights(self) -> dict[str, Tensor]:
        """The tensors to save, by the names that other libraries load them by; tied tensors once."""
        return self.state_dict()

    def load(self, weights: Mapping[str, Tensor], index: Index) -> None:
        """The inverse of `weights`; the index may extend the one that was trained on."""
        self.load_state_dict(weights)

    def go_on_from(
        self, weights: Mapping[str, Tensor], catalog: Catalog, index: Index, was: Int[Tensor, " N"] | None = None
    ) -> None:
        """Begin training with trained weights; what is counted from interactions is counted anew.

        Args:
            was: each item's number when the weights were trained, `PAD` for one that came later; None: as they are now.
        """
        self.load(weights if was is None else self.renumbered(weights, was, index), index)
        self.count(catalog, index)

    def renumbered(self, weights: Mapping[str, Tensor], was: Int[Tensor, " N"], index: Index) -> Mapping[str, Tensor]:
        """Weights of the items of an index made anew, from those of the items that had the numbers `was`.

        By default no weight belongs to an item.
        """
        return weights

    def files(self) -> dict[str, bytes]:
        """Files to write beside the weights so that other libraries can load them: name -> content."""
        return {}

    def hugging_face(self) -> HuggingFace:
        """The model and files for the transformers library; raises ConfigError where it has no such model."""
        raise none_of_it(self.kind)
