"""Systems side by side: the figures are the evaluator's, the better one is ahead, equal ones are not told apart."""

import numpy as np
import pytest

from tests.stages import ring
from unisid.artifacts.catalog import TEST, TRAIN, Catalog
from unisid.artifacts.metrics import Metrics, write_metrics
from unisid.artifacts.record import Record, write_record
from unisid.errors import DataError
from unisid.evaluation.ranks import summarise, write_method
from unisid.judging.judgement import judge, recorded
from unisid.ops.by_user import Users
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
    for name, each in summarise(ranks_of(0, 1), Users.single(20), CUTOFFS, 2000, 42)["excluded"].items():
        assert figures[name]["mean"] == pytest.approx(each["mean"])
        assert (figures[name]["low"], figures[name]["high"]) == pytest.approx((each["low"], each["high"]))
    assert found["seeds"] == {"mine": 2, "other": 1}
    assert found["samples"] == len(catalog.samples(TEST))
    assert one["rules"]["excluded"]["comparisons"] == {}
    reciprocal = 1 / ranks_of(0, 1)["excluded"]
    assert figures["MRR@5"]["mean"] == pytest.approx(np.where(reciprocal >= 1 / 5, reciprocal, 0).mean())
    assert found["rules"]["allowed"]["comparisons"]["other"]["MRR@10"]["holm"] <= 1
    assert "MRR@10" in judgement(found)


def test_samples_of_one_user_are_one_draw(place):
    """Three targets a user: the same figures, and power, intervals and tests of 20 users."""
    labels = [[TRAIN] * 2 + [TEST] * 3] * 20
    catalog = Catalog.read(ring.write_catalog(place / "many", [[0, 1, 2, 3, 4]] * 20, 15, labels))
    single = Catalog.read(ring.write_catalog(place / "one", [[0, 1, 2]] * 20, 15, [[TRAIN, TRAIN, TEST]] * 20))
    systems = {"mine": [ranks_of(0, 1)], "other": [ranks_of(2, 2)]}
    thrice = {
        name: [{rule: np.repeat(r, 3) for rule, r in s.items()} for s in seeds] for name, seeds in systems.items()
    }
    found, wanted = judge(thrice, catalog, CUTOFFS), judge(systems, single, CUTOFFS)
    assert (found["samples"], found["users"]) == (60, 20)
    assert "of 20 users: intervals, tests and power are over users" in judgement(found)
    assert "of 20 users" not in judgement(wanted)
    for rule, part in wanted["rules"].items():
        for name in ("power", "comparisons", "permutation", "figures"):
            assert_alike(found["rules"][rule][name], part[name])


def assert_alike(found, wanted):
    """Numbers nearly equal; not Cohen's d, which is of samples."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for key in wanted.keys() - {"cohens_d"}:
            assert_alike(found[key], wanted[key])
    else:
        assert found == pytest.approx(wanted, nan_ok=True)


def test_who_is_better_is_ahead_and_equals_are_not_told_apart(catalog):
    better, worse = ranks_of(0, 1), ranks_of(0, 30)
    shown = judgement(judge({"mine": [better], "twin": [better], "worse": [worse]}, catalog, CUTOFFS))
    assert "mine is ahead of worse: NDCG@10 +" in shown
    assert "mine is not shown to be ahead of twin: NDCG@10 +0.0000" in shown
    assert "any number is too few" in shown
    assert shown.index("what can be seen") < shown.index("mine is ahead")
    behind = judgement(judge({"worse": [worse], "mine": [better]}, catalog, CUTOFFS))
    assert "worse is behind mine" in behind


def test_ranks_that_metrics_hold_are_judged_beside_lists(catalog, place):
    rows = catalog.samples(TEST)
    ranks = ranks_of(3, 1, len(rows))
    ranks["excluded"][0] = np.nan
    out = place / "metrics"
    write_metrics(out, {"ours": summarise(ranks, Users.single(len(rows)), CUTOFFS, 10, 1)}, {})
    write_method(out, "ours", ranks, catalog, rows)
    write_record(out, Record(address="metrics/ring/1", config={}, inputs={}, counts={}))
    found = recorded(Metrics.read(out), catalog)
    for rule, values in ranks.items():
        np.testing.assert_array_equal(found["ours"][rule], values)
    write_method(out, "ours", {rule: values[:-1] for rule, values in ranks.items()}, catalog, rows[:-1])
    with pytest.raises(DataError, match="ranks other samples than the 20 test samples of catalog/ring/1"):
        recorded(Metrics.read(out), catalog)
