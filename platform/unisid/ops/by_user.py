"""Means over test samples and how sure they are: bootstrap, paired tests; all samples of a user are one draw.

A user's samples are alike; taken for independent ones they would make intervals too narrow and tests too sure. With one
sample a user these are the ordinary bootstrap, Student's paired t-test and the permutation test, bit by bit.
S test samples, U users, M metrics, R resamples.
"""

from dataclasses import dataclass

import numpy as np
import scipy  # loads its parts on first use
from jaxtyping import Float, Int, Shaped

Array = np.ndarray
DRAWN_AT_ONCE = 1 << 24
"""Drawn counts held in memory at one time: 128 MiB."""
DIGITS = 12
"""To which a user's sum is rounded."""
TINY = 1e-12
"""What is smaller, as a share of a deviation, is rounding."""


@dataclass(frozen=True)
class Users:
    """Test samples grouped by user."""

    index: Int[Array, " S"]
    """Each sample's user, numbered from 0 without a gap."""
    counts: Int[Array, " U"]
    """Each user's samples."""

    @classmethod
    def of(cls, user: Shaped[Array, " S"]) -> "Users":
        """Group samples by each one's user, any numbers or names."""
        _, index, counts = np.unique(np.asarray(user), return_inverse=True, return_counts=True)
        return cls(index.astype(np.int64), counts)

    @classmethod
    def single(cls, samples: int) -> "Users":
        """A user for every sample."""
        return cls(np.arange(samples), np.ones(samples, np.int64))

    @property
    def alone(self) -> bool:
        """Whether every user has one sample."""
        return len(self.counts) == len(self.index)

    def totals(self, values: Float[Array, "S M"]) -> Float[Array, "U M"]:
        """The sums of each user's values; in the order of the samples where every user has one."""
        if self.alone:
            return values
        sums = np.stack([np.bincount(self.index, column, len(self.counts)) for column in values.T], axis=1)
        return sums.round(DIGITS)  # equal sums that were added in another order are equal


def bootstrap_means(
    values: Float[Array, "S M"], users: Users, resamples: int, seed: int
) -> Float[Array, "{resamples} M"]:
    """The means over samples of draws of U users with replacement, with all samples of each; all columns from the same
    draw.

    Only how often each distinct row of counts and totals is drawn matters, and that is multinomial; metrics take few
    distinct values, so this is exact and does not depend on S.
    """
    totals, size = users.totals(values), len(users.counts)
    each = totals if users.alone else np.column_stack([users.counts, totals])
    rows, times = np.unique(each, axis=0, return_counts=True)
    random, sums = np.random.default_rng(seed), np.empty((resamples, each.shape[1]))
    at_once = max(1, DRAWN_AT_ONCE // len(rows))
    for start in range(0, resamples, at_once):
        drawn = random.multinomial(size, times / size, size=min(at_once, resamples - start))
        sums[start : start + at_once] = drawn @ rows
    return sums / size if users.alone else sums[:, 1:] / sums[:, :1]


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
    """One-sided p: the chance of at least this t were there no difference. 1 for fewer than two users."""
    cohens_d: float
    """The mean difference in standard deviations of the samples' differences; 0 where all differences are equal."""


def variance(differences: Float[Array, " S"], users: Users) -> float:
    """The variance of the mean over samples of differences; 0 for one user.

    U / (U - 1) sum_u (t_u - c_u mean)^2 / S^2, where t_u is the sum of a user's differences and c_u their number. With
    one sample a user it is s^2 / S.
    """
    return _error(differences, users) ** 2


def _error(differences: Float[Array, " S"], users: Users) -> float:
    """The standard error of the mean over samples; 0 for one user."""
    size = len(users.counts)
    if size < 2:
        return 0.0
    apart = users.totals(differences[:, None])[:, 0] - users.counts * differences.mean()
    spread = np.sqrt(np.sum(apart * apart) / (size - 1))
    return float(spread * (size / len(differences)) / np.sqrt(size))


def t_test(differences: Float[Array, " S"], users: Users) -> PairedTest:
    """Student's paired t-test, one-sided, of the samples' differences: t = mean(d) / its standard error over users,
    with U - 1 degrees of freedom; Cohen's d = mean(d) / sd(d) by samples."""
    if len(users.counts) < 2:
        return PairedTest(float(differences.mean()) if len(differences) else 0.0, 1.0, 0.0)
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    if np.ptp(differences) == 0.0:  # no spread: t is undefined, and what is seen is certain
        return PairedTest(mean, 0.0 if mean > 0 else 1.0, 0.0)
    error = _error(differences, users)
    if error <= TINY * deviation:  # nor between users
        return PairedTest(mean, 0.0 if mean > TINY * deviation else 1.0, mean / deviation)
    return PairedTest(mean, float(scipy.stats.t.sf(mean / error, len(users.counts) - 1)), mean / deviation)


def permutation_p(differences: Float[Array, " S"], users: Users, resamples: int, seed: int) -> float:
    """One-sided p of a paired permutation test: how often random signs, one for all of a user's differences, give a
    mean at least as large, plus one.

    Signs are independent, so of c users whose sums have one size the number that stay positive is binomial: this is
    exact in distribution and does not depend on U where sums take few values.
    """
    sums = users.totals(np.asarray(differences, np.float64)[:, None])[:, 0]
    sizes, counts = np.unique(np.abs(sums), return_counts=True)
    random, least = np.random.default_rng(seed), float(np.sum(sums)) - 1e-9 * max(1.0, float(counts @ sizes))
    reached, at_once = 0, max(1, DRAWN_AT_ONCE // max(1, len(counts)))
    for start in range(0, resamples, at_once):
        positive = random.binomial(counts, 0.5, size=(min(at_once, resamples - start), len(counts)))
        reached += int(((2 * positive - counts) @ sizes >= least).sum())
    return (1 + reached) / (1 + resamples)
