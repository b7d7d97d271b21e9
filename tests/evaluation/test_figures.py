"""From ranks to figures: against statsmodels-free twins, and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from unisid.evaluation.figures import comparisons, holm, intervals, over_cutoffs, over_seeds, paired, values_of

CUTOFFS = (1, 5, 10)


def ranks(seed: int, better: float = 1.0, samples: int = 400) -> np.ndarray:
    """Ranks of one seed, a third of them not ranked."""
    random = np.random.default_rng(seed)
    drawn = np.ceil(random.exponential(12 / better, samples))
    return np.where(random.random(samples) < 1 / 3, np.nan, drawn)


def test_a_figure_is_the_mean_of_the_seeds_and_their_deviation():
    every = [ranks(seed) for seed in (1, 2, 3)]
    found = over_seeds(values_of(every, CUTOFFS), CUTOFFS)
    by_seed = [np.mean(each <= 5) for each in every]  # NaN compares false
    assert found["HR@5"].by_seed == pytest.approx(by_seed)
    assert found["HR@5"].mean == pytest.approx(np.mean(by_seed))
    assert found["HR@5"].deviation == pytest.approx(np.std(by_seed, ddof=1))
    assert found["HR@5"].low < found["HR@5"].mean < found["HR@5"].high
    assert list(found) == ["HR@1", "HR@5", "HR@10", "NDCG@1", "NDCG@5", "NDCG@10"]


def test_the_interval_is_of_samples_and_the_deviation_of_seeds():
    """Seeds that agree sample by sample leave the interval as wide as one seed's; one seed has no deviation."""
    one = over_seeds(values_of([ranks(1)], CUTOFFS), CUTOFFS)["NDCG@10"]
    thrice = over_seeds(values_of([ranks(1)] * 3, CUTOFFS), CUTOFFS)["NDCG@10"]
    assert np.isnan(one.deviation)
    assert thrice.deviation == pytest.approx(0, abs=1e-12)
    assert (thrice.low, thrice.high) == pytest.approx((one.low, one.high))


def test_comparisons_pair_samples_after_the_mean_over_seeds():
    ours = values_of([ranks(1, 2.0), ranks(2, 2.0)], CUTOFFS)
    others = {"weak": values_of([ranks(3), ranks(4)], CUTOFFS), "same": ours}
    found = comparisons(ours, others, CUTOFFS)
    first, second = ours.mean(0)[:, 2], others["weak"].mean(0)[:, 2]
    t = stats.ttest_rel(first, second, alternative="greater")
    weak = found["weak"]["HR@10"]
    assert weak.test.p == pytest.approx(t.pvalue)
    assert weak.test.difference == pytest.approx((first - second).mean())
    assert weak.low < weak.test.difference < weak.high
    assert weak.holm == pytest.approx(min(1.0, 2 * weak.test.p))
    assert found["same"]["HR@10"].test.difference == 0
    assert found["same"]["HR@10"].holm == 1.0


def test_an_estimate_is_the_mean_and_its_interval_narrows_with_samples():
    few, many = (values_of([ranks(1, samples=size)], CUTOFFS)[0] for size in (100, 6400))
    small, large = (intervals(values, CUTOFFS, 500, 7)["NDCG@10"] for values in (few, many))
    assert large.mean == pytest.approx(many[:, 5].mean())
    assert large.high - large.low == pytest.approx((small.high - small.low) / 8, rel=0.25)
    assert intervals(few, CUTOFFS, 500, 7) == intervals(few, CUTOFFS, 500, 7)


def test_a_paired_interval_is_of_the_differences():
    """A constant lead has an interval of no width, however far the samples are apart."""
    theirs = values_of([ranks(1)], CUTOFFS)[0]
    found = paired(theirs + 0.25, theirs, CUTOFFS, 100, 7)["HR@5"]
    assert (found.low, found.high, found.test.difference) == pytest.approx((0.25, 0.25, 0.25))


def test_the_thesis_form_pairs_cut_offs():
    ours, theirs = (values_of([ranks(seed, better)], CUTOFFS) for seed, better in ((1, 2.0), (2, 1.0)))
    found = over_cutoffs(ours.mean((0, 1)), theirs.mean((0, 1)))
    first, second = ours.mean((0, 1)), theirs.mean((0, 1))
    assert found["HR"].p == pytest.approx(stats.ttest_rel(first[:3], second[:3], alternative="greater").pvalue)
    assert found["ALL"].p == pytest.approx(stats.ttest_rel(first, second, alternative="greater").pvalue)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(p_values):
    found = np.array(holm(p_values))
    given_p = np.array(p_values)
    assert (found >= given_p - 1e-12).all()
    assert (found <= np.minimum(1, given_p * len(given_p)) + 1e-12).all()
    order = np.argsort(given_p, kind="stable")
    assert (np.diff(found[order]) >= -1e-12).all()
