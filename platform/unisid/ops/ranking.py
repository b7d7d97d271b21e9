"""How well the right item is ranked, and how sure one may be: ranks, HR, NDCG, MRR, bootstrap, paired tests.

A rank is 1 for the best; equal scores count half; NaN stands for a target that was not ranked at all. A score of NaN
never helps: it stands before every number, and a target of that score is not ranked. Statistics are over test samples,
never over cut-offs. B batch, N items, k list length, S samples, M metrics, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # loads its parts on first use
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Array = np.ndarray
MEASURES = ("HR", "NDCG", "MRR")
"""Each at every cut-off; in the order of the columns."""
DRAWN_AT_ONCE = 1 << 24
"""Drawn counts held in memory at one time: 128 MiB."""
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


def bootstrap_means(values: Float[Array, "S M"], resamples: int, seed: int) -> Float[Array, "R M"]:
    """The means of `resamples` samples drawn with replacement, all columns from the same draw.

    Only how often each distinct row is drawn matters, and those counts are multinomial; metrics take few distinct
    values, so this is exact and does not depend on S.
    """
    rows, counts = np.unique(values, axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(values), counts / len(values), size=resamples)
    return drawn @ rows / len(values)


def interval(means: Float[Array, "R M"], level: float = 0.95) -> tuple[Float[Array, " M"], Float[Array, " M"]]:
    """The percentile interval of bootstrap means: lower and upper ends."""
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail], axis=0)
    return low, high


@dataclass(frozen=True)
class PairedTest:
    """Is the first of two better, sample by sample?"""

    difference: float
    """The mean of first minus second."""
    p: float
    """One-sided p: the chance of at least this t were there no difference. 1 for fewer than two pairs."""
    cohens_d: float
    """The mean difference in standard deviations of the differences; 0 where all differences are equal."""


def paired_test(first: Float[Array, " S"], second: Float[Array, " S"]) -> PairedTest:
    """Student's paired t-test, t = mean(d) / (sd(d) / sqrt(S)), one-sided, and Cohen's d = mean(d) / sd(d)."""
    differences = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    if len(differences) < 2:
        return PairedTest(float(differences.mean()) if len(differences) else 0.0, 1.0, 0.0)
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    if np.ptp(differences) == 0.0:  # no spread: t is undefined, and what is seen is certain
        return PairedTest(mean, 0.0 if mean > 0 else 1.0, 0.0)
    t = mean / (deviation / np.sqrt(len(differences)))
    return PairedTest(mean, float(scipy.stats.t.sf(t, len(differences) - 1)), mean / deviation)


def permutation_p(differences: Float[Array, " S"], resamples: int, seed: int) -> float:
    """One-sided p of a paired permutation test: how often random signs give a mean at least as large, plus one.

    Signs are independent, so of c differences of one size the number that stay positive is binomial: this is exact in
    distribution and does not depend on S where differences take few values.
    """
    sizes, counts = np.unique(np.abs(np.asarray(differences, np.float64)), return_counts=True)
    random, least = np.random.default_rng(seed), float(np.sum(differences)) - 1e-9 * max(1.0, float(counts @ sizes))
    reached, at_once = 0, max(1, DRAWN_AT_ONCE // max(1, len(counts)))
    for start in range(0, resamples, at_once):
        positive = random.binomial(counts, 0.5, size=(min(at_once, resamples - start), len(counts)))
        reached += int(((2 * positive - counts) @ sizes >= least).sum())
    return (1 + reached) / (1 + resamples)
