"""A user's samples are one draw: with one sample each all is as ever, and repeating them adds no certainty."""

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.references import by_user as slow
from unisid.ops import by_user
from unisid.ops.by_user import Users, bootstrap_means, interval, permutation_p, t_test, variance
from unisid.ops.ranking import metric_values

DRAWS = 9_999


def ranks(seed: int, samples: int = 300) -> np.ndarray:
    return np.ceil(np.random.default_rng(seed).exponential(9, samples))


def independent(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    return bootstrap_means(values, Users.single(len(values)), resamples, seed)


def alike(random: np.random.Generator, users: int, samples: int) -> tuple[np.ndarray, Users]:
    """Hits of users of whom each has so many samples; a user's chance is his own: .2 on average, mostly near 0 or 1."""
    chance = np.repeat(random.beta(0.2, 0.8, users), samples)
    return (random.random(users * samples) < chance).astype(float), Users.of(np.repeat(np.arange(users), samples))


@pytest.mark.parametrize("order", [np.arange(300), np.random.default_rng(0).permutation(1000)[:300]], ids=str)
def test_with_one_sample_a_user_all_is_bit_by_bit_as_of_independent_samples(order):
    users = Users.of(order)
    ours, theirs = (metric_values(ranks(seed), (1, 5, 10)) for seed in (1, 2))
    for values in (ours, ours - theirs, (ours - theirs) / 3):
        assert np.array_equal(bootstrap_means(values, users, 2000, 42), slow.ordinary_bootstrap_means(values, 2000, 42))
    for column in (ours - theirs).T:
        assert astuple(t_test(column, users)) == slow.ordinary_t_test(column)
        assert permutation_p(column, users, DRAWS, 42) == permutation_p(column, Users.single(300), DRAWS, 42)


@given(st.lists(st.integers(-2, 2), min_size=2, max_size=9), st.integers(2, 4))
def test_every_sample_repeated_adds_nothing(values, times):
    """To the t-test, its error and the permutations; a user has as many samples more."""
    once, many = np.array(values, float), np.repeat(np.array(values, float), times)
    single, users = Users.single(len(once)), Users.of(np.repeat(np.arange(len(once)), times))
    assert t_test(many, users).p == pytest.approx(t_test(once, single).p)
    assert variance(many, users) == pytest.approx(variance(once, single))
    assert variance(once, single) == pytest.approx(once.var(ddof=1) / len(once))
    assert permutation_p(many, users, DRAWS, 1) == permutation_p(once, single, DRAWS, 1)


def test_bootstrap_is_a_function_of_the_seed():
    values, users = metric_values(np.array([1.0, 2.0, np.nan, 30.0]), (1, 10)), Users.of(np.array([4, 4, 2, 9]))
    first, again, other = (bootstrap_means(values, users, 50, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_bootstrap_draws_all_columns_together():
    """A column and its negative must cancel in every resample, which is what pairing means."""
    values = np.random.default_rng(0).random((40, 1))
    for users in (Users.single(40), Users.of(np.arange(40) // 3)):
        means = bootstrap_means(np.concatenate([values, -values], axis=1), users, 20, 0)
        assert np.abs(means.sum(1)).max() < 1e-12


def test_the_interval_is_that_of_users_drawn_one_by_one(monkeypatch):
    random = np.random.default_rng(4)
    user = np.sort(random.integers(0, 60, 400))
    users, values = Users.of(user), random.random((400, 2)) + user[:, None] / 30
    means = bootstrap_means(values, users, 2000, 42)
    assert means.std(0) == pytest.approx(np.sqrt([variance(values[:, m], users) for m in (0, 1)]), rel=0.1)
    twin = np.array(slow.bootstrap_means(values.tolist(), user.tolist(), 1000, 1))
    assert means.mean(0) == pytest.approx(twin.mean(0), abs=0.03)
    assert means.std(0) == pytest.approx(twin.std(0), rel=0.1)
    assert (means.std(0) > 2 * independent(values, 500, 1).std(0)).all()
    monkeypatch.setattr(by_user, "DRAWN_AT_ONCE", 6000)
    np.testing.assert_allclose(bootstrap_means(values, users, 2000, 42), means)


def test_independent_samples_have_the_spread_of_their_mean():
    values = np.random.default_rng(0).choice([0.0, 0.4, 1.0], size=200, p=[0.7, 0.2, 0.1])
    means = independent(values[:, None], 4000, 0)[:, 0]
    assert means.mean() == pytest.approx(values.mean(), abs=0.003)
    assert means.std() == pytest.approx(values.std() / np.sqrt(200), rel=0.05)


def covered(trials: int, users: int, samples: int, by_sample: bool = False) -> int:
    """How many intervals of so many trials hold the true mean, .2."""
    random, count = np.random.default_rng(3), 0
    for seed in range(trials):
        values, drawn = alike(random, users, samples)
        drawn = Users.single(len(values)) if by_sample else drawn
        low, high = interval(bootstrap_means(values[:, None], drawn, 400, seed))
        count += int(low[0] <= 0.2 <= high[0])
    return count


@pytest.mark.parametrize("samples", [1, 20])
def test_interval_covers_the_truth_as_often_as_it_says(samples):
    assert 180 <= covered(200, 300, samples) <= 198  # 95% of 200, by four standard deviations


def test_alike_samples_taken_for_independent_ones_miss_the_truth():
    """Of users who hit nearly always or nearly never; one of twenty intervals is meant to, more than half do."""
    assert covered(200, 300, 20, by_sample=True) < 100


def test_users_who_differ_make_no_false_alarms():
    """Of 400 comparisons without a difference one in twenty; as many samples taken for independent: one in three."""
    random, users = np.random.default_rng(5), Users.of(np.repeat(np.arange(40), 10))
    alarms, naive = 0, 0
    for _ in range(400):
        apart = np.repeat(random.normal(0, 1, 40), 10) + random.normal(0, 0.5, 400)
        alarms += t_test(apart, users).p < 0.05
        naive += t_test(apart, Users.single(400)).p < 0.05
    assert stats.binomtest(alarms, 400, 0.05).pvalue > 0.001
    assert naive > 80


def test_users_without_a_spread_are_certain():
    users = Users.of(np.array([0, 0, 1, 1]))
    assert t_test(np.array([0.5, -0.5, 0.5, -0.5]), users).p == 1
    assert t_test(np.array([1.0, 0.5, 1.0, 0.5]), users).p == 0
    assert t_test(np.array([0.25] * 4), users).p == 0
    alone = t_test(np.array([1.0, 2.0]), Users.of(np.array([7, 7])))
    assert (alone.difference, alone.p) == (1.5, 1.0)


def test_t_test_by_hand():
    # differences 1, 2, 3: mean 2, sd 1, t = 2 / (1 / sqrt 3) = 3.4641 with 2 degrees of freedom
    result = t_test(np.array([1.0, 2.0, 3.0]), Users.single(3))
    assert (result.difference, result.cohens_d) == (2.0, 2.0)
    assert result.p == pytest.approx(0.0371, abs=1e-4)


@settings(max_examples=50)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20))
def test_t_test_against_scipy_and_its_mirror(differences):
    apart = np.round(np.array(differences), 3)
    here, there = (t_test(each, Users.single(len(apart))) for each in (apart, -apart))
    assert here.difference == pytest.approx(-there.difference)
    assert here.cohens_d == pytest.approx(-there.cohens_d)
    if np.ptp(apart) > 1e-9:
        assert here.p == pytest.approx(stats.ttest_1samp(apart, 0, alternative="greater").pvalue)
        assert here.p + there.p == pytest.approx(1.0)


@pytest.mark.parametrize(("apart", "p"), [([0, 0], 1.0), ([0.5, 0.5], 0.0), ([-0.5, -0.5], 1.0), ([0.5], 1.0), ([], 1)])
def test_differences_without_spread(apart, p):
    assert t_test(np.array(apart, float), Users.single(len(apart))).p == p


def test_signs_at_random_give_the_p_of_a_t_test_where_there_are_many_samples(monkeypatch):
    random = np.random.default_rng(0)
    apart, users = random.normal(0.05, 1.4, 2000), Users.single(2000)
    assert permutation_p(apart, users, DRAWS, 1) == pytest.approx(t_test(apart, users).p, abs=0.02)
    assert permutation_p(np.zeros(10), Users.single(10), 99, 1) == 1.0
    whole = permutation_p(apart, users, 999, 1)
    monkeypatch.setattr(by_user, "DRAWN_AT_ONCE", 10 * len(apart))
    assert permutation_p(apart, users, 999, 1) == whole  # drawn some at a time, in the same order
    assert permutation_p(np.ones(12), Users.single(12), DRAWS, 1) < 0.002  # 2^-12 of all signs
