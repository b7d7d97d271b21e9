"""From ranks to figures: against statsmodels-free twins, and laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from unisid.evaluation.figures import comparisons, holm, intervals, over_cutoffs, over_seeds, paired, values_of
from unisid.ops.by_user import Users

CUTOFFS = (1, 5, 10)
USERS = Users.single(400)


def ranks(seed: int, better: float = 1.0, samples: int = 400) -> np.ndarray:
    """Ranks of one seed, a third of them not ranked."""
    random = np.random.default_rng(seed)
    drawn = np.ceil(random.exponential(12 / better, samples))
    return np.where(random.random(samples) < 1 / 3, np.nan, drawn)


def test_a_figure_is_the_mean_of_the_seeds_and_their_deviation():
    every = [ranks(seed) for seed in (1, 2, 3)]
    found = over_seeds(values_of(every, CUTOFFS), USERS, CUTOFFS)
    by_seed = [np.mean(each <= 5) for each in every]  # NaN compares false
    assert found["HR@5"].by_seed == pytest.approx(by_seed)
    assert found["HR@5"].mean == pytest.approx(np.mean(by_seed))
    assert found["HR@5"].deviation == pytest.approx(np.std(by_seed, ddof=1))
    assert found["HR@5"].low < found["HR@5"].mean < found["HR@5"].high
    assert list(found) == [f"{metric}@{k}" for metric in ("HR", "NDCG", "MRR") for k in CUTOFFS]
    assert found["MRR@5"].mean == pytest.approx(np.mean([np.sum(1 / each[each <= 5]) / len(each) for each in every]))


def test_the_interval_is_of_samples_and_the_deviation_of_seeds():
    """Seeds that agree sample by sample leave the interval as wide as one seed's; one seed has no deviation."""
    one = over_seeds(values_of([ranks(1)], CUTOFFS), USERS, CUTOFFS)["NDCG@10"]
    thrice = over_seeds(values_of([ranks(1)] * 3, CUTOFFS), USERS, CUTOFFS)["NDCG@10"]
    assert np.isnan(one.deviation)
    assert thrice.deviation == pytest.approx(0, abs=1e-12)
    assert (thrice.low, thrice.high) == pytest.approx((one.low, one.high))


def test_comparisons_pair_samples_after_the_mean_over_seeds():
    ours = values_of([ranks(1, 2.0), ranks(2, 2.0)], CUTOFFS)
    others = {"weak": values_of([ranks(3), ranks(4)], CUTOFFS), "same": ours}
    found = comparisons(ours, others, USERS, CUTOFFS)
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
    small, large = (intervals(values, Users.single(len(values)), CUTOFFS, 500, 7)["NDCG@10"] for values in (few, many))
    assert large.mean == pytest.approx(many[:, 5].mean())
    assert large.high - large.low == pytest.approx((small.high - small.low) / 8, rel=0.25)
    assert intervals(few, Users.single(100), CUTOFFS, 500, 7) == intervals(few, Users.single(100), CUTOFFS, 500, 7)


def test_a_paired_interval_is_of_the_differences():
    """A constant lead has an interval of no width, however far the samples are apart."""
    theirs = values_of([ranks(1)], CUTOFFS)[0]
    found = paired(theirs + 0.25, theirs, USERS, CUTOFFS, 100, 7)["HR@5"]
    assert (found.low, found.high, found.test.difference) == pytest.approx((0.25, 0.25, 0.25))


def test_the_thesis_form_pairs_cut_offs():
    ours, theirs = (values_of([ranks(seed, better)], CUTOFFS) for seed, better in ((1, 2.0), (2, 1.0)))
    found = over_cutoffs(ours.mean((0, 1)), theirs.mean((0, 1)))
    first, second = ours.mean((0, 1)), theirs.mean((0, 1))
    assert found["HR"].p == pytest.approx(stats.ttest_rel(first[:3], second[:3], alternative="greater").pvalue)
    both = stats.ttest_rel(first[:6], second[:6], alternative="greater")
    assert found["ALL"].p == pytest.approx(both.pvalue)  # as the thesis has it: HR and NDCG


def test_the_thesis_form_has_relative_differences_and_intervals_of_students_t():
    ours, theirs = (values_of([ranks(seed, better)], CUTOFFS).mean((0, 1)) for seed, better in ((1, 2.0), (2, 1.0)))
    found = over_cutoffs(ours, theirs)
    for name, part in {"HR": slice(3), "NDCG": slice(3, 6), "ALL": slice(6)}.items():
        reach = stats.ttest_rel(ours[part], theirs[part]).confidence_interval(0.95)
        assert (found[name].low, found[name].high) == pytest.approx((reach.low, reach.high))
        assert found[name].relative == pytest.approx(ours[part].mean() / theirs[part].mean() - 1)


def test_the_thesis_own_intervals_follow_from_its_differences_and_effect_sizes():
    """Table 6.2, UQF-LC-Rec minus LC-Rec on Office Products by HR: six cut-offs, .0084, d 1.02, [-.0002, .0170]."""
    spread = np.array([-1.0, -1, -1, 1, 1, 1])
    theirs = np.full(6, 0.1375)
    ours = theirs + 0.0084 + spread * 0.0084 / 1.02 / spread.std(ddof=1)
    found = over_cutoffs(np.tile(ours, 3), np.tile(theirs, 3))["HR"]
    assert (round(found.low, 4), round(found.high, 4)) == (-0.0002, 0.0170)
    assert found.relative == pytest.approx(0.0611, abs=1e-4)
    assert found.p == pytest.approx(0.0271, abs=1e-3)


def test_one_cut_off_has_no_interval():
    found = over_cutoffs(np.array([0.2, 0.1, 0.2]), np.array([0.0, 0.1, 0.0]))
    assert found["HR"].relative is None
    assert found["HR"].low is found["HR"].high is None
    assert found["NDCG"].relative == 0


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
