"""Ranks of samples that workers made in parts, and what they come to."""

import numpy as np
import pyarrow as pa
import pytest

from unisid.compute import Pool, Step
from unisid.errors import ConfigError
from unisid.evaluation.ranks import check_cutoffs, headline, rank_in_parts, summarise, usable_cutoffs
from unisid.ops.by_user import Users
from unisid.progress import Progress
from unisid.runtime.local import LocalCompute


class Squares:
    """A step whose "ranks" are the squares of the rows, every third one not ranked; the parts come back reversed."""

    def __call__(self, part):
        rows = np.arange(part["start"][0].as_py(), part["stop"][0].as_py())[::-1]
        return pa.table({"row": rows, "a": np.where(rows % 3, rows**2.0, np.nan), "b": -rows.astype(float)})


@pytest.mark.parametrize("rows_per_part", [1, 4, 10, 99])
def test_parts_come_back_as_one_column_a_rule_in_the_order_of_the_samples(rows_per_part):
    figures = []
    progress = Progress(figures.append, 10, "samples", of="m")
    ranks = rank_in_parts(LocalCompute(), Step(Squares, Pool()), progress, rows_per_part, ("a", "b"))
    rows = np.arange(10)
    np.testing.assert_array_equal(ranks["a"], np.where(rows % 3, rows**2.0, np.nan))
    np.testing.assert_array_equal(ranks["b"], -rows)
    assert figures[-1]["m.samples_done"] == 10


def test_means_and_intervals_by_hand():
    """Ranks 1, 2 and none: HR@1 is 1/3; NDCG@5 the mean of 1, 1/log2(3) and 0."""
    ranks = {"allowed": np.array([1.0, 2.0, np.nan]), "excluded": np.array([1.0, 1.0, 1.0])}
    found = summarise(ranks, Users.single(3), (1, 5), 200, 0)
    assert found["allowed"]["HR@1"]["mean"] == pytest.approx(1 / 3)
    assert found["allowed"]["NDCG@5"]["mean"] == pytest.approx((1 + 1 / np.log2(3)) / 3)
    assert found["allowed"]["HR@5"]["low"] <= 2 / 3 <= found["allowed"]["HR@5"]["high"]
    assert found["excluded"]["HR@1"] == {"mean": 1.0, "low": 1.0, "high": 1.0}


def test_cutoffs_fit_the_catalogue():
    assert usable_cutoffs((), 7, "m") == (1, 3, 5)
    assert usable_cutoffs((), 100, "m") == (1, 3, 5, 10, 20, 50)
    assert usable_cutoffs((7, 2), 7, "m") == (2, 7)
    with pytest.raises(ConfigError, match="m: 8 is more than the catalogue's 7 items; must be at most 7"):
        usable_cutoffs((8,), 7, "m")
    with pytest.raises(ConfigError, match="m: 5, 5; must be different"):
        check_cutoffs((5, 5), "m")
    assert headline((1, 10, 20)) == ["HR@10", "NDCG@10", "MRR@10"]
    assert headline((1, 5)) == ["HR@5", "NDCG@5", "MRR@5"]
