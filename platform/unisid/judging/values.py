"""Every test sample's value of the metrics of a judgement: HR, NDCG and MRR at each cut-off.

n seeds, S test samples, M metrics.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unisid.ops.ranking import metric_names, metric_values


def names_of(cutoffs: Sequence[int]) -> list[str]:
    """The metrics in the order of the values: HR@K for every K, then NDCG@K, then MRR@K."""
    return [*metric_names(cutoffs), *(f"MRR@{k}" for k in cutoffs)]


def values_of(ranks: Sequence[NDArray[np.float64]], cutoffs: Sequence[int]) -> NDArray[np.float64]:
    """The values [n, S, M] of ranks [S] by seed. MRR@K = 1(rank <= K) / rank, with one target a sample also MAP@K."""
    found = []
    for each in ranks:
        values = metric_values(each, cutoffs)
        reciprocal = values[:, : len(cutoffs)] / np.nan_to_num(each, nan=1.0)[:, None]
        found.append(np.concatenate([values, reciprocal], axis=1))
    return np.stack(found)
