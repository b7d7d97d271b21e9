"""Candidates of a search with the parts of their scores, ranked by a weighted sum whose weights are fitted.

B samples, C candidates, F parts, N items, n samples whose target is a candidate.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unisid.backbones import Index, Limits
from unisid.decoding.beam import Ranked, best, check, limits_of
from unisid.errors import ArtifactError
from unisid.layers.part_weights import PartWeights

CANDIDATES = 256
"""The best items of a validation sample, whose target fits the weight of each part of the score."""
TABLE = 0.5
"""Weight of a part of the memory before validation; what a network says has 1."""
Judged = tuple[Float[Tensor, "n C F"], Float[Tensor, " n"], Bool[Tensor, "n C"], Int[Tensor, " n"]]
"""Parts of candidates, z, which are real, and the place of the target: of samples whose target is one of them."""


@dataclass(frozen=True)
class Candidates:
    """Some items of every sample, and the parts of their scores."""

    items: Int[Tensor, "B C"]
    parts: Float[Tensor, "B C F"]
    real: Bool[Tensor, "B C"]
    """False: fills a short row."""
    z: Float[Tensor, " B"]
    """What the weights of the parts depend on (`layers.part_weights`)."""
    added: Float[Tensor, "B C"] | None = None
    """What is added to the weighted sum of parts."""

    def scores(self, weights: PartWeights) -> Float[Tensor, "B C"]:
        """The weighted sums plus what is added; -inf where an item is not real."""
        found = torch.einsum("bcf,bf->bc", self.parts, weights.at(self.z).to(self.parts.dtype))
        return (found if self.added is None else found + self.added).masked_fill(~self.real, -torch.inf)

    def best(self, weights: PartWeights, size: int) -> "Candidates":
        """Those of the largest scores."""
        top = self.scores(weights).topk(min(size, self.items.shape[1]), dim=1).indices
        parts = self.parts.gather(1, top[:, :, None].expand(-1, -1, self.parts.shape[2]))
        added = None if self.added is None else self.added.gather(1, top)
        return Candidates(self.items.gather(1, top), parts, self.real.gather(1, top), self.z, added)

    def judged(self, targets: Int[Tensor, " B"]) -> Judged:
        """The samples whose target is a candidate, as `fit_to` takes them.

        Example, candidates (4, 9, 2), parts (0.5, 2.0, 1.0), target 9: less the row's largest, which no weight of the
        softmax depends on, the parts are (-1.5, 0, -1), and the target's place is 1. Without 9 the sample is left out.
        """
        is_target = (self.items == targets[:, None]) & self.real
        among = is_target.any(1)
        real, parts = self.real[among], self.parts[among]
        top = parts.masked_fill(~real[:, :, None], -torch.inf).amax(1, keepdim=True)  # a constant of a row fits nothing
        return (parts - top).half(), self.z[among], real, is_target[among].int().argmax(1)

    def chosen(self, weights: PartWeights, index: Index, k: int, limits: Limits) -> Ranked:
        """The best k."""
        check(k, max(k, self.items.shape[1]), len(index.codes))
        require_sound((self.parts.isfinite().all(2) | ~self.real).all())
        return _chosen(self.scores(weights), index.trie.leaves[self.items].long(), index, k, limits)


def fit_to(judged: Iterable[Judged], weights: PartWeights, total: Callable[[Tensor], Tensor]) -> None:
    """Fit the weights by maximum likelihood of the targets among their candidates.

    Args:
        judged: this worker's share; there may be none.
        total: the sum of a tensor over all workers.
    """
    values = weights.values
    nothing = values.new_zeros(0)
    none = values.new_zeros(0, 1, len(weights)), nothing, values.new_zeros(0, 1).bool(), nothing.long()
    parts, z, real, place = (torch.cat(part) for part in zip(*(list(judged) or [none]), strict=True))
    weights.fit(parts, z, real, place, total)


def best_items(scores: Float[Tensor, "B N"], index: Index, k: int, limits: Limits) -> Ranked:
    """The exact best k of all items."""
    by_leaf = scores[:, index.trie.items.long()]
    leaves = torch.arange(by_leaf.shape[1], device=scores.device).expand_as(by_leaf)
    return replace(_chosen(by_leaf, leaves, index, k, limits), bound=scores.new_full((len(scores),), -torch.inf))


def may_be_answered(items: Int[Tensor, "B C"], index: Index, limits: Limits) -> Bool[Tensor, "B C"]:
    """Which items the limits allow."""
    open_ = limits_of(index.trie, len(items), limits.excluded, limits.allowed)
    if open_ is None:
        return torch.ones_like(items, dtype=torch.bool)
    return open_.leave_open(index.trie.levels[-1], index.trie.leaves[items].long()[:, :, None])[..., 0]


def require_sound(sound: Bool[Tensor, ""]) -> None:
    """Raise ArtifactError where some score is no finite number: its item would be lost, or come first, unsaid."""
    if not sound:
        raise ArtifactError(
            "search: the model gives items scores that are NaN or infinite: its weights are damaged, "
            "or it diverged in training; train it anew, with a lower learning rate"
        )


def _chosen(scores: Float[Tensor, "B C"], leaves: Int[Tensor, "B C"], index: Index, k: int, limits: Limits) -> Ranked:
    """The k best that may be answered; among equals the lower semantic id."""
    scores = scores.masked_fill(~may_be_answered(index.trie.items[leaves].long(), index, limits), -torch.inf)
    chosen = best(scores, leaves, min(k, scores.shape[1]))
    scores, leaves = scores.gather(1, chosen), leaves.gather(1, chosen)
    items = torch.where(scores > -torch.inf, index.trie.items[leaves].long(), -1)
    return Ranked(items, scores)
