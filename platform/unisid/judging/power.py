"""How large a difference a comparison can show, and how many test users and seeds one of a given size needs.

With users U and seeds R a difference d of two means has the variance v = s^2 / U + r^2 / R: s is the standard
deviation of what a user adds to the difference (averaged over seeds; with one sample a user that of the samples'
differences), r^2 the sum of both methods' variances between seeds. A one-sided test at level a shows d with the chance
1 - b where d >= (z_a + z_b) sqrt(v).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from unisid.ops.by_user import Users, variance

LEVEL, CHANCE = 0.05, 0.8
"""Of the one-sided test, and of showing a difference that is there."""


@dataclass(frozen=True)
class Power:
    """What a comparison of two methods can show."""

    detectable: float
    """The least difference that is shown four times of five, with these users and seeds."""
    difference: float
    """The difference that the next two are about."""
    users: int | None
    """Test users that it needs with these seeds; None where no number suffices, or it is 0."""
    seeds: int | None
    """Seeds of each method that it needs with these users; None as above, or where one seed is all there is."""
    between_seeds: float | None
    """Standard deviation of the difference from seed to seed; None where a method has one seed."""


def power(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    difference: float | None = None,
    tests: int = 1,
    users: Users | None = None,
) -> Power:
    """The power of a comparison by one metric.

    Args:
        first: values [R, S], by seed and sample.
        second: those of the other method, [R', S].
        difference: to be shown; None for the one that is seen.
        tests: how many comparisons share the level (Bonferroni).
        users: whose the samples are; None for one sample a user.
    """
    apart = first.mean(0) - second.mean(0)
    users = Users.single(len(apart)) if users is None else users
    within = variance(apart, users) * len(users.counts)
    spread = [float(values.mean(1).var(ddof=1)) if len(values) > 1 else None for values in (first, second)]
    known = [value for value in spread if value is not None]
    between = sum(known) if len(known) == 2 else None
    now = (
        0.0
        if between is None
        else sum(value / len(values) for value, values in zip(known, (first, second), strict=True))
    )
    z = float(stats.norm.isf(LEVEL / tests) + stats.norm.isf(1 - CHANCE))
    wanted = abs(float(apart.mean())) if difference is None else abs(difference)
    return Power(
        detectable=z * math.sqrt(within / len(users.counts) + now),
        difference=wanted,
        users=_count(within, (wanted / z) ** 2 - now),
        seeds=None if between is None else _count(between, (wanted / z) ** 2 - within / len(users.counts)),
        between_seeds=None if between is None else math.sqrt(between),
    )


def _count(variance: float, room: float) -> int | None:
    """How many draws of this variance have a mean of a variance of at most `room`; None where no number has."""
    return max(1, math.ceil(variance / room)) if room > 0 else None
