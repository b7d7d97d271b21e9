"""Means over test samples and how sure they are, where all samples of a user are one draw.

A user's samples are alike; taken for independent ones they would make intervals too narrow and tests too sure. With one
sample a user these are the ordinary bootstrap, Student's paired t-test and the permutation test.
S test samples, U users, M metrics, R resamples.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unisid.evaluation.figures import RESAMPLES, SEED
from unisid.ops.ranking import DRAWN_AT_ONCE, PairedTest, permutation_p

PERMUTATIONS = 9_999
DIGITS = 12
"""To which a user's sum is rounded."""
TINY = 1e-12
"""What is smaller, as a share of a deviation, is rounding."""
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Users:
    """Test samples grouped by user."""

    index: NDArray[np.int64]
    """[S] each sample's user, numbered from 0 without a gap."""
    counts: NDArray[np.int64]
    """[U] each user's samples."""

    @classmethod
    def of(cls, user: NDArray[Any]) -> "Users":
        """Group samples by each one's user [S], any numbers."""
        _, index, counts = np.unique(user, return_inverse=True, return_counts=True)
        return cls(index.astype(np.int64), counts)

    @classmethod
    def single(cls, samples: int) -> "Users":
        """A user for every sample."""
        return cls(np.arange(samples), np.ones(samples, np.int64))

    def totals(self, values: Values) -> Values:
        """The sums [U, M] of each user's values [S, M]."""
        if len(self.counts) == len(self.index):
            return values[np.argsort(self.index)]
        sums: Values = np.stack([np.bincount(self.index, column, len(self.counts)) for column in values.T], axis=1)
        return np.asarray(sums.round(DIGITS), np.float64)  # equal sums that were added in another order are equal


def resampled(values: Values, users: Users) -> Values:
    """The means over samples [R, M] of `RESAMPLES` draws of U users with replacement, with all samples of each.

    Only how often each distinct row of counts and totals is drawn matters, and that is multinomial.
    """
    rows, times = np.unique(np.column_stack([users.counts, users.totals(values)]), axis=0, return_counts=True)
    random, size = np.random.default_rng(SEED), len(users.counts)
    means = np.empty((RESAMPLES, values.shape[1]))
    at_once = max(1, DRAWN_AT_ONCE // len(rows))
    for start in range(0, RESAMPLES, at_once):
        sums = random.multinomial(size, times / size, size=min(at_once, RESAMPLES - start)) @ rows
        means[start : start + at_once] = sums[:, 1:] / sums[:, :1]
    return means


def variance(differences: Values, users: Users) -> float:
    """The variance of the mean over samples of differences [S]; 0 for one user.

    U / (U - 1) sum_u (t_u - c_u mean)^2 / S^2, where t_u is the sum of a user's differences and c_u their number. With
    one sample a user it is s^2 / S.
    """
    size = len(users.counts)
    if size < 2:
        return 0.0
    apart = users.totals(differences[:, None])[:, 0] - users.counts * differences.mean()
    return float(size / (size - 1) * (apart @ apart) / len(differences) ** 2)


def t_test(differences: Values, users: Users) -> PairedTest:
    """Student's paired t-test of differences [S], one-sided, with U - 1 degrees of freedom; Cohen's d by samples."""
    if len(users.counts) < 2:
        return PairedTest(float(differences.mean()), 1.0, 0.0)
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    if np.ptp(differences) == 0.0:  # no spread: t is undefined, and what is seen is certain
        return PairedTest(mean, 0.0 if mean > 0 else 1.0, 0.0)
    error = math.sqrt(variance(differences, users))
    if error <= TINY * deviation:  # nor between users
        return PairedTest(mean, 0.0 if mean > TINY * deviation else 1.0, mean / deviation)
    return PairedTest(mean, float(stats.t.sf(mean / error, len(users.counts) - 1)), mean / deviation)


def permuted(differences: Values, users: Users) -> float:
    """One-sided p of a permutation test: one random sign for all of a user's differences [S]."""
    return permutation_p(users.totals(differences[:, None])[:, 0], PERMUTATIONS, SEED)
