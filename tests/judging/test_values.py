"""HR and NDCG are the evaluator's, and MRR is by hand."""

import numpy as np

from unisid.evaluation.groups import by_group
from unisid.judging.values import names_of, values_of
from unisid.ops.ranking import metric_names, metric_values

CUTOFFS = (1, 3)


def test_the_mean_reciprocal_rank_by_hand():
    ranks = np.array([1, 1.5, 3, 4, np.nan])
    found = values_of([ranks, ranks[::-1]], CUTOFFS)
    assert names_of(CUTOFFS)[4:] == ["MRR@1", "MRR@3"]
    assert found.shape == (2, 5, 6)
    np.testing.assert_allclose(found[0, :, 5], [1, 2 / 3, 1 / 3, 0, 0])
    np.testing.assert_allclose(found[0, :, 4], [1, 0, 0, 0, 0])
    np.testing.assert_array_equal(found[1], found[0, ::-1])


def test_the_others_are_the_evaluators():
    ranks = np.random.default_rng(0).integers(1, 6, 30).astype(np.float64)
    found = values_of([ranks], CUTOFFS)[0]
    assert names_of(CUTOFFS)[:4] == metric_names(CUTOFFS)
    np.testing.assert_array_equal(found[:, :4], metric_values(ranks, CUTOFFS))
    group = by_group(ranks, {"all": np.ones(30, bool)}, 3)["all"]
    np.testing.assert_allclose(found[:, 5].mean(), group["MRR@3"])
