"""Systems side by side: the figures are the evaluator's, the better one is ahead, equal ones are not told apart."""

import numpy as np
import pytest

from unisid.artifacts.catalog import TEST
from unisid.artifacts.metrics import Metrics, write_metrics
from unisid.artifacts.record import Record, write_record
from unisid.errors import DataError
from unisid.evaluation.ranks import summarise, write_method
from unisid.judging.judgement import judge, recorded
from unisid.ops.ranking import paired_test, permutation_p
from unisid.report.judgement import judgement

CUTOFFS = (1, 5, 10)


def ranks_of(seed, best, count=20):
    random = np.random.default_rng(seed)
    allowed = random.integers(best, best + 10, count).astype(np.float64)
    return {"excluded": allowed - 0.5, "allowed": allowed}


def test_figures_and_tests_are_the_evaluators(catalog):
    systems = {"mine": [ranks_of(0, 1), ranks_of(1, 1)], "other": [ranks_of(2, 1)]}
    found = judge(systems, catalog, CUTOFFS)
    one = judge({"mine": [ranks_of(0, 1)]}, catalog, CUTOFFS)
    figures = one["rules"]["excluded"]["figures"]["mine"]
    for name, each in summarise(ranks_of(0, 1), CUTOFFS, 2000, 42)["excluded"].items():
        assert figures[name]["mean"] == pytest.approx(each["mean"])
        assert (figures[name]["low"], figures[name]["high"]) == pytest.approx((each["low"], each["high"]))
    assert found["seeds"] == {"mine": 2, "other": 1}
    assert found["samples"] == len(catalog.samples(TEST))
    assert one["rules"]["excluded"]["comparisons"] == {}


def test_who_is_better_is_ahead_and_equals_are_not_told_apart(catalog):
    better, worse = ranks_of(0, 1), ranks_of(0, 30)
    shown = judgement(judge({"mine": [better], "twin": [better], "worse": [worse]}, catalog, CUTOFFS))
    assert "mine is ahead of worse: NDCG@10 +" in shown
    assert "mine is not shown to be ahead of twin: NDCG@10 +0.0000" in shown
    assert "any number is too few" in shown
    assert shown.index("what can be seen") < shown.index("mine is ahead")
    behind = judgement(judge({"worse": [worse], "mine": [better]}, catalog, CUTOFFS))
    assert "worse is behind mine" in behind


def test_signs_at_random_give_the_p_of_a_t_test_where_there_are_many_samples():
    random = np.random.default_rng(0)
    first, second = random.normal(0.05, 1, 2000), random.normal(0, 1, 2000)
    assert permutation_p(first - second, 9_999, 1) == pytest.approx(paired_test(first, second).p, abs=0.02)
    assert permutation_p(np.zeros(10), 99, 1) == 1.0
    assert permutation_p(np.ones(12), 9_999, 1) < 0.002  # 2^-12 of all signs


def test_ranks_that_metrics_hold_are_judged_beside_lists(catalog, place):
    rows = catalog.samples(TEST)
    ranks = ranks_of(3, 1, len(rows))
    ranks["excluded"][0] = np.nan
    out = place / "metrics"
    write_metrics(out, {"ours": summarise(ranks, CUTOFFS, 10, 1)}, {})
    write_method(out, "ours", ranks, catalog, rows)
    write_record(out, Record(address="metrics/ring/1", config={}, inputs={}, counts={}))
    found = recorded(Metrics.read(out), catalog)
    for rule, values in ranks.items():
        np.testing.assert_array_equal(found["ours"][rule], values)
    write_method(out, "ours", {rule: values[:-1] for rule, values in ranks.items()}, catalog, rows[:-1])
    with pytest.raises(DataError, match="ranks other samples than the 20 test samples of catalog/ring/1"):
        recorded(Metrics.read(out), catalog)
