"""From ranks to a table's figures: means with their intervals, and paired comparisons (0005-experiments.md).

n seeds, S test samples, M metrics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from unisid.ops.ranking import PairedTest, bootstrap_means, interval, metric_names, metric_values, paired_test

RESAMPLES = 2000
SEED = 42
"""Of the bootstrap."""


@dataclass(frozen=True)
class Figure:
    """A method's value of one metric."""

    mean: float
    deviation: float
    """Of the seeds' means; NaN for one seed."""
    low: float
    high: float
    """95% over test samples, of the mean over seeds."""
    by_seed: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """Ours minus another's, paired by test sample, both averaged over seeds."""

    test: PairedTest
    low: float
    high: float
    holm: float
    """The p-value, corrected for how many methods ours is compared with by this metric (Holm 1979)."""


def values_of(ranks: Sequence[NDArray[np.float64]], cutoffs: Sequence[int]) -> Float[NDArray[np.float64], "n S M"]:
    """Each seed's and sample's value of every metric, from ranks [S] by seed."""
    return np.stack([metric_values(each, cutoffs) for each in ranks])


def figures(values: Float[NDArray[np.float64], "n S M"], cutoffs: Sequence[int]) -> dict[str, Figure]:
    """By metric."""
    seeds = values.mean(1)
    spread = seeds.std(0, ddof=1) if len(seeds) > 1 else np.full(values.shape[2], np.nan)
    low, high = interval(bootstrap_means(values.mean(0), RESAMPLES, SEED))
    return {
        name: Figure(float(seeds[:, m].mean()), float(spread[m]), float(low[m]), float(high[m]), tuple(seeds[:, m]))
        for m, name in enumerate(metric_names(cutoffs))
    }


def comparisons(
    ours: Float[NDArray[np.float64], "n S M"],
    others: Mapping[str, Float[NDArray[np.float64], "n S M"]],
    cutoffs: Sequence[int],
) -> dict[str, dict[str, Comparison]]:
    """Method -> metric -> how far ours is ahead of it."""
    names = metric_names(cutoffs)
    mine = ours.mean(0)
    tests: dict[str, list[PairedTest]] = {}
    bounds = {}
    for method, values in others.items():
        theirs = values.mean(0)
        tests[method] = [paired_test(mine[:, m], theirs[:, m]) for m in range(len(names))]
        bounds[method] = interval(bootstrap_means(mine - theirs, RESAMPLES, SEED))
    found: dict[str, dict[str, Comparison]] = {method: {} for method in others}
    for m, name in enumerate(names):
        corrected = holm([tests[method][m].p for method in others])
        for method, p in zip(others, corrected, strict=True):
            low, high = bounds[method]
            found[method][name] = Comparison(tests[method][m], float(low[m]), float(high[m]), p)
    return found


def over_cutoffs(
    ours: Float[NDArray[np.float64], "n S M"], theirs: Float[NDArray[np.float64], "n S M"]
) -> dict[str, PairedTest]:
    """The UQF thesis's form (6.1.1): pairs are the means at the cut-offs. HR, NDCG and both together."""
    first, second = ours.mean((0, 1)), theirs.mean((0, 1))
    half = len(first) // 2
    groups = {"HR": slice(half), "NDCG": slice(half, None), "ALL": slice(None)}
    return {name: paired_test(first[part], second[part]) for name, part in groups.items()}


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down: the i-th smallest of m, times m - i + 1, no smaller than those before it, at most 1."""
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    stepped = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values, np.float64)[order] * factors))
    corrected = np.empty(len(p_values))
    corrected[order] = stepped
    return [float(value) for value in corrected]
