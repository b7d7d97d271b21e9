"""How well the right item is ranked: ranks, HR, NDCG, MRR.

A rank is 1 for the best; equal scores count half; NaN stands for a target that was not ranked at all. A score of NaN
never helps: it stands before every number, and a target of that score is not ranked. B batch, N items, k list length,
S samples, M metrics.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Array = np.ndarray
MEASURES = ("HR", "NDCG", "MRR")
"""Each at every cut-off; in the order of the columns."""
SCORES_AT_ONCE = 1 << 24
"""Scores held in memory while all items are ranked: 64 MiB of float32."""


def rank_of_target(scores: Float[Tensor, "B N"], targets: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
    """rank = 1 + #{greater} + #{equal others} / 2 over all items; NaN where the target's own score is -inf or NaN."""
    own = scores.gather(1, targets[:, None])
    above = (~(scores <= own)).sum(1)  # not >, which NaN escapes
    level = (scores == own).sum(1) - 1
    ranks = 1.0 + above.double() + 0.5 * level.double()
    return torch.where(own[:, 0] > -torch.inf, ranks, torch.nan)


def rank_in_list(
    items: Int[Tensor, "B k"], scores: Float[Tensor, "B k"], targets: Int[Tensor, " B"], kept: Bool[Tensor, "B k"]
) -> Float[Tensor, " B"]:
    """The target's rank among the kept entries of a scored list without repetitions; NaN where it is not there."""
    scores = scores.masked_fill(~kept, -torch.inf)
    hit = (items == targets[:, None]) & kept
    own = scores.masked_fill(~hit, -torch.inf).amax(1, keepdim=True)
    above = (~(scores <= own) & kept).sum(1)
    level = ((scores == own) & kept).sum(1) - 1
    ranks = 1.0 + above.double() + 0.5 * level.double()
    return torch.where(own[:, 0] > -torch.inf, ranks, torch.nan)


def first_items(scores: Float[Tensor, "B N"], k: int) -> Int[Tensor, "B k"]:
    """The k items of the largest scores, the best first and equal ones by number; -1 where the score is -inf."""
    if not k:
        return torch.empty(len(scores), 0, dtype=torch.int64, device=scores.device)
    least = scores.topk(k).values[:, -1:]
    above, level = scores > least, scores == least
    level &= level.cumsum(1, dtype=torch.int32) <= k - above.sum(1, keepdim=True)
    items = (above | level).nonzero()[:, 1].view(-1, k)
    values, order = scores.gather(1, items).sort(dim=1, descending=True, stable=True)
    return items.gather(1, order).masked_fill(values == -torch.inf, -1)


def metric_names(cutoffs: Sequence[int]) -> list[str]:
    """The columns of `metric_values`: HR@K for every K, then NDCG@K for every K, then MRR@K for every K."""
    return [f"{metric}@{k}" for metric in MEASURES for k in cutoffs]


def metric_values(ranks: Float[Array, " S"], cutoffs: Sequence[int]) -> Float[Array, "S M"]:
    """Each sample's HR@K = 1(rank <= K), NDCG@K = 1(rank <= K) / log2(rank + 1) and MRR@K = 1(rank <= K) / rank; their
    means are the metrics.

    With one target a sample the ideal gain is 1 (UQF thesis, 5.4), and the average precision is the reciprocal rank, so
    that MAP@K = MRR@K. A rank of NaN scores 0.
    """
    hits = np.asarray(ranks)[:, None] <= np.asarray(cutoffs)[None, :]  # NaN compares false
    known = np.nan_to_num(ranks, nan=1.0)[:, None]
    return np.concatenate([hits.astype(np.float64), hits / np.log2(known + 1.0), hits / known], axis=1)
