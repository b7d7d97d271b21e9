"""Power: what simulations show, and what no number of samples or seeds can."""

import numpy as np
import pytest
from scipy import stats

from unisid.judging.power import CHANCE, LEVEL, power
from unisid.ops.by_user import Users


def normal(seeds, samples, mean, seed, between=0.0):
    random = np.random.default_rng(seed)
    return random.normal(mean, 1.0, (seeds, samples)) + random.normal(0, between, (seeds, 1))


def test_the_least_difference_is_shown_four_times_of_five():
    samples = 400
    least = power(normal(1, samples, 0.0, 0), normal(1, samples, 0.0, 1)).detectable
    random = np.random.default_rng(2)
    apart = random.normal(least, np.sqrt(2.0), (4000, samples))
    t = apart.mean(1) / (apart.std(1, ddof=1) / np.sqrt(samples))
    shown = float((stats.t.sf(t, samples - 1) < LEVEL).mean())
    assert shown == pytest.approx(CHANCE, abs=0.06)  # the deviation is estimated from 400 samples


def test_users_needed_show_the_difference_that_was_asked_for():
    first, second = normal(1, 500, 0.3, 0), normal(1, 500, 0.0, 1)
    found = power(first, second, 0.05)
    deviation = (first[0] - second[0]).std(ddof=1)
    z = stats.norm.isf(LEVEL) + stats.norm.isf(1 - CHANCE)
    assert found.users == int(np.ceil((z * deviation / 0.05) ** 2))
    assert power(first, second).difference == pytest.approx(abs(float((first - second).mean())))
    assert power(first, second, 0.05, tests=4).users > found.users


def test_seeds_needed_bring_the_variance_down_to_what_is_left():
    first, second = normal(3, 4000, 0.0, 0, between=0.1), normal(3, 4000, 0.0, 1, between=0.1)
    found = power(first, second, 0.15)
    within = float((first.mean(0) - second.mean(0)).var(ddof=1)) / 4000
    z = stats.norm.isf(LEVEL) + stats.norm.isf(1 - CHANCE)
    assert found.between_seeds is not None
    assert z * np.sqrt(within + found.between_seeds**2 / found.seeds) <= 0.15
    assert found.seeds == 1 or z * np.sqrt(within + found.between_seeds**2 / (found.seeds - 1)) > 0.15


def test_what_cannot_be_seen_has_no_number():
    same = normal(2, 50, 0.0, 0)
    assert power(same, same).users is None
    one = power(normal(1, 50, 0.0, 0), normal(1, 50, 0.0, 1))
    assert (one.seeds, one.between_seeds) == (None, None)
    noisy = power(normal(2, 50, 0.0, 0, between=5.0), normal(2, 50, 0.0, 1, between=5.0), 1e-6)
    assert (noisy.users, noisy.seeds) == (None, None)


def test_samples_of_users_repeated_add_nothing():
    first, second = normal(1, 60, 0.3, 0), normal(1, 60, 0.0, 1)
    users = Users.of(np.repeat(np.arange(60), 3))
    once, thrice = power(first, second), power(np.repeat(first, 3, 1), np.repeat(second, 3, 1), users=users)
    assert thrice.detectable == pytest.approx(once.detectable)
    assert thrice.users == once.users
