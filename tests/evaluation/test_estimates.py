"""Means over seeds with their intervals, the front, and the best of trials with known values."""

import numpy as np
import pytest
from scipy import stats

from tests.evaluation.outcomes import TEXTS, grid, outcome
from unisid.evaluation.estimates import best, configurations, front


def test_means_and_their_pooled_intervals():
    """With one configuration it is the t interval; with several, that of one-way analysis of variance."""
    alone = [outcome({"a": 1}, {"ndcg": v}) for v in (0.1, 0.2, 0.4)]
    estimate = configurations(alone, ["ndcg"])[0].estimates["ndcg"]
    low, high = stats.t.interval(0.95, 2, loc=np.mean([0.1, 0.2, 0.4]), scale=stats.sem([0.1, 0.2, 0.4]))
    assert (estimate.mean - estimate.half, estimate.mean + estimate.half) == pytest.approx((low, high))
    both = [*alone, *(outcome({"a": 2}, {"ndcg": v}) for v in (0.5, 0.7))]
    pooled = np.sqrt((2 * np.var([0.1, 0.2, 0.4], ddof=1) + np.var([0.5, 0.7], ddof=1)) / 3)
    halves = [c.estimates["ndcg"].half for c in configurations(both, ["ndcg"])]
    assert halves == pytest.approx([stats.t.ppf(0.975, 3) * pooled / np.sqrt(n) for n in (3, 2)])


def test_the_front_is_what_nothing_beats():
    found = configurations(grid("a", "b", sizes=(5, 4)), list(TEXTS))
    best = front(found, list(TEXTS))
    points = {id(c): [c.estimates[n].mean for n in TEXTS] for c in found}

    def beats(c, d):
        pairs = list(zip(points[id(c)], points[id(d)], strict=True))
        return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)

    assert {id(c) for c in best} == {id(c) for c in found if not any(beats(d, c) for d in found)}
    assert front(found[:1], list(TEXTS)) == found[:1]
    assert front([], list(TEXTS)) == []


def test_the_best_configuration_has_the_best_mean_and_not_the_best_seed():
    trials = [outcome({"a": 1}, {"ndcg": v}, seed) for seed, v in ((1, 0.9), (2, 0.1))]
    trials += [outcome({"a": 2}, {"ndcg": v}, seed) for seed, v in ((1, 0.6), (2, 0.7))]
    assert best(trials, "ndcg") is trials[2]
    assert best([outcome({"a": 3}, {"ndcg": 1.0}, 1, "stopped"), *trials], "ndcg") is trials[2]
    assert best(trials, "index") is None
    assert best([], "ndcg") is None
