"""A user's samples are one draw: with one sample each all is as ever, and repeating them adds no certainty."""

from dataclasses import astuple
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from unisid.evaluation import figures as by_sample
from unisid.evaluation.figures import SEED
from unisid.judging import by_user
from unisid.judging.by_user import PERMUTATIONS, Users, permuted, resampled, t_test, variance
from unisid.judging.power import power
from unisid.ops.ranking import bootstrap_means, metric_names, paired_test, permutation_p

CUTOFFS = (1, 10)


def ranks(seed: int, samples: int = 300) -> np.ndarray:
    return np.ceil(np.random.default_rng(seed).exponential(9, samples))


def test_with_one_sample_a_user_all_is_as_by_sample():
    ours, theirs = by_sample.values_of([ranks(1), ranks(2)], CUTOFFS), by_sample.values_of([ranks(3)], CUTOFFS)
    users = Users.of(np.random.default_rng(0).permutation(1000)[:300])
    means, test = partial(resampled, users=users), partial(t_test, users=users)
    found, wanted = by_sample.over_seeds(ours, CUTOFFS, means), by_sample.over_seeds(ours, CUTOFFS)
    for name, each in wanted.items():
        assert astuple(found[name])[:4] == pytest.approx(astuple(each)[:4], rel=1e-12)
        assert found[name].by_seed == pytest.approx(each.by_seed, rel=1e-12)
    apart = by_sample.comparisons(ours, {"other": theirs}, CUTOFFS, means, test)["other"]
    wanted = by_sample.comparisons(ours, {"other": theirs}, CUTOFFS)["other"]
    for name in metric_names(CUTOFFS):
        reach = (wanted[name].low, wanted[name].high)
        assert (apart[name].low, apart[name].high) == pytest.approx(reach, rel=1e-12)
        assert apart[name].holm == pytest.approx(wanted[name].holm, rel=1e-9)
        assert apart[name].test.p == pytest.approx(wanted[name].test.p, rel=1e-9)
    difference = (ours.mean(0) - theirs.mean(0))[:, 3]
    assert permuted(difference, users) == permutation_p(difference, PERMUTATIONS, SEED)


@given(st.lists(st.integers(-2, 2), min_size=2, max_size=9), st.integers(2, 4))
def test_every_sample_repeated_adds_nothing(values, times):
    """To the t-test, the permutations and the power; a user has as many samples more."""
    once, many = np.array(values, float), np.repeat(np.array(values, float), times)
    single, users = Users.single(len(once)), Users.of(np.repeat(np.arange(len(once)), times))
    assert t_test(many, users).p == pytest.approx(t_test(once, single).p)
    assert t_test(once, single).p == pytest.approx(paired_test(once, np.zeros(len(once))).p)
    assert permuted(many, users) == permuted(once, single)
    zero = np.zeros((1, len(once)))
    found, wanted = power(many[None], np.repeat(zero, times, 1), users=users), power(once[None], zero)
    assert found.detectable == pytest.approx(wanted.detectable)
    assert found.users == wanted.users


def test_the_interval_is_that_of_users_drawn_one_by_one(monkeypatch):
    random = np.random.default_rng(4)
    user = np.sort(random.integers(0, 60, 400))
    users, values = Users.of(user), random.random((400, 2)) + user[:, None] / 30
    means = resampled(values, users)
    assert means.std(0) == pytest.approx(np.sqrt([variance(values[:, m], users) for m in (0, 1)]), rel=0.1)
    by_hand = []
    for _ in range(2000):
        drawn = np.concatenate([values[users.index == u] for u in random.integers(0, len(users.counts), 60)])
        by_hand.append(drawn.mean(0))
    assert means.mean(0) == pytest.approx(np.mean(by_hand, 0), abs=0.02)
    assert means.std(0) == pytest.approx(np.std(by_hand, 0), rel=0.1)
    assert (means.std(0) > 2 * bootstrap_means(values, 500, 1).std(0)).all()
    monkeypatch.setattr(by_user, "DRAWN_AT_ONCE", 6000)
    np.testing.assert_allclose(resampled(values, users), means)


def test_users_who_differ_make_no_false_alarms():
    """Of 400 comparisons without a difference one in twenty; as many samples taken for independent: one in three."""
    random, users = np.random.default_rng(5), Users.of(np.repeat(np.arange(40), 10))
    alarms, naive = 0, 0
    for _ in range(400):
        apart = np.repeat(random.normal(0, 1, 40), 10) + random.normal(0, 0.5, 400)
        alarms += t_test(apart, users).p < 0.05
        naive += paired_test(apart, np.zeros(400)).p < 0.05
    assert stats.binomtest(alarms, 400, 0.05).pvalue > 0.001
    assert naive > 80


def test_users_without_a_spread_are_certain():
    users = Users.of([0, 0, 1, 1])
    assert t_test(np.array([0.5, -0.5, 0.5, -0.5]), users).p == 1
    assert t_test(np.array([1.0, 0.5, 1.0, 0.5]), users).p == 0
    assert t_test(np.array([0.25] * 4), users).p == 0
    alone = t_test(np.array([1.0, 2.0]), Users.of([7, 7]))
    assert (alone.difference, alone.p) == (1.5, 1.0)
