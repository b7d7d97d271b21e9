"""From values of metrics to figures: means with bootstrap intervals, paired tests, corrections for many of them.

All samples of a user are one draw. n seeds, S test samples, M metrics, C cut-offs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Float
from numpy.typing import NDArray

from unisid.ops.by_user import PairedTest, Users, bootstrap_means, interval, t_test
from unisid.ops.ranking import MEASURES, metric_names, metric_values

RESAMPLES = 2000
"""Of the bootstrap, where no setting says."""
SEED = 42


@dataclass(frozen=True)
class Interval:
    """A mean over test samples and its 95% bootstrap interval over users."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Paired:
    """Ours minus another's, paired by test sample, and the 95% bootstrap interval of the mean difference."""

    test: PairedTest
    low: float
    high: float


@dataclass(frozen=True)
class Figure:
    """A method's value of one metric under several seeds."""

    mean: float
    deviation: float
    """Of the seeds' means; NaN for one seed."""
    low: float
    high: float
    """95% over users, of the mean over seeds."""
    by_seed: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """Ours minus another's, paired by test sample, both averaged over seeds."""

    test: PairedTest
    low: float
    high: float
    holm: float
    """The p-value, corrected for how many methods ours is compared with by this metric (Holm 1979)."""


@dataclass(frozen=True)
class Correlation:
    """How one figure of an index goes with the recommender's metric, over indexes."""

    correlation: float
    """Spearman's rank correlation; NaN where either is constant."""
    p: float
    """Two-sided, by permutation: of all orders where there are 7 indexes or fewer, else of 9,999 random ones."""
    indexes: int


@dataclass(frozen=True)
class OverCutoffs:
    """Ours minus another's in the UQF thesis's form (its table 6.2): pairs are the means at the cut-offs, C of them."""

    difference: float
    """The mean over the cut-offs."""
    relative: float | None
    """The same in shares of the other's mean; None where that is 0. The thesis prints it in per cent."""
    p: float
    """One-sided, of a paired t-test; 1 for fewer than two cut-offs."""
    cohens_d: float
    low: float | None
    """95% by Student's t with C - 1 degrees of freedom, two-sided; None for fewer than two cut-offs."""
    high: float | None


def values_of(ranks: Sequence[Float[np.ndarray, " S"]], cutoffs: Sequence[int]) -> Float[NDArray[np.float64], "n S M"]:
    """Each seed's and sample's value of every metric, from ranks by seed."""
    return np.stack([metric_values(each, cutoffs) for each in ranks])


def intervals(
    values: Float[NDArray[np.float64], "S M"], users: Users, cutoffs: Sequence[int], resamples: int, seed: int
) -> dict[str, Interval]:
    """Metric -> its mean and interval."""
    low, high = interval(bootstrap_means(values, users, resamples, seed))
    columns = zip(metric_names(cutoffs), values.mean(0), low, high, strict=True)
    return {name: Interval(float(mean), float(a), float(b)) for name, mean, a, b in columns}


def paired(
    ours: Float[NDArray[np.float64], "S M"],
    theirs: Float[NDArray[np.float64], "S M"],
    users: Users,
    cutoffs: Sequence[int],
    resamples: int,
    seed: int,
) -> dict[str, Paired]:
    """Metric -> how far ours is ahead, sample by sample."""
    apart = ours - theirs
    low, high = interval(bootstrap_means(apart, users, resamples, seed))
    return {
        name: Paired(t_test(apart[:, m], users), float(low[m]), float(high[m]))
        for m, name in enumerate(metric_names(cutoffs))
    }


def over_cutoffs(
    ours: Float[NDArray[np.float64], " M"], theirs: Float[NDArray[np.float64], " M"]
) -> dict[str, OverCutoffs]:
    """The UQF thesis's form (6.1.1): pairs are the means at the cut-offs. HR, NDCG and both together, as it has them.

    It says how alike cut-offs are and nothing of users: figures of one list at 5, 10 and 20 are no samples.
    """
    count = len(ours) // len(MEASURES)
    groups = {"HR": slice(count), "NDCG": slice(count, 2 * count), "ALL": slice(2 * count)}
    return {name: _over_cutoffs(ours[part], theirs[part]) for name, part in groups.items()}


def _over_cutoffs(ours: Float[NDArray[np.float64], " C"], theirs: Float[NDArray[np.float64], " C"]) -> OverCutoffs:
    count, mean = len(ours), float(theirs.mean())
    test = t_test(ours - theirs, Users.single(count))
    low = high = None
    if count > 1:
        error = float((ours - theirs).std(ddof=1)) / np.sqrt(count)
        reach = float(scipy.stats.t.ppf(0.975, count - 1)) * error
        low, high = test.difference - reach, test.difference + reach
    relative = test.difference / mean if mean else None
    return OverCutoffs(test.difference, relative, test.p, test.cohens_d, low, high)


def over_seeds(values: Float[NDArray[np.float64], "n S M"], users: Users, cutoffs: Sequence[int]) -> dict[str, Figure]:
    """Metric -> its mean over seeds, their deviation, and the interval over users."""
    seeds = values.mean(1)
    spread = seeds.std(0, ddof=1) if len(seeds) > 1 else np.full(values.shape[2], np.nan)
    low, high = interval(bootstrap_means(values.mean(0), users, RESAMPLES, SEED))
    return {
        name: Figure(float(seeds[:, m].mean()), float(spread[m]), float(low[m]), float(high[m]), tuple(seeds[:, m]))
        for m, name in enumerate(metric_names(cutoffs))
    }


def comparisons(
    ours: Float[NDArray[np.float64], "n S M"],
    others: Mapping[str, Float[NDArray[np.float64], "_ S M"]],
    users: Users,
    cutoffs: Sequence[int],
) -> dict[str, dict[str, Comparison]]:
    """Method -> metric -> how far ours is ahead of it, with p-values corrected over the methods.

    Methods may have different numbers of seeds.
    """
    apart = {method: ours.mean(0) - values.mean(0) for method, values in others.items()}
    reach = {method: interval(bootstrap_means(each, users, RESAMPLES, SEED)) for method, each in apart.items()}
    found: dict[str, dict[str, Comparison]] = {method: {} for method in others}
    for m, name in enumerate(metric_names(cutoffs)):
        tests = [t_test(each[:, m], users) for each in apart.values()]
        for method, tested, p in zip(others, tests, holm([each.p for each in tests]), strict=True):
            low, high = reach[method]
            found[method][name] = Comparison(tested, float(low[m]), float(high[m]), p)
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down: the i-th smallest of m, times m - i + 1, no smaller than those before it, at most 1."""
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    stepped = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values, np.float64)[order] * factors))
    corrected = np.empty(len(p_values))
    corrected[order] = stepped
    return [float(value) for value in corrected]
