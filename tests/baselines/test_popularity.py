import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.baselines.catalogs import write_catalog
from unisid.artifacts.catalog import TEST
from unisid.artifacts.store import Place
from unisid.baselines import Baseline, Histories, SameForAll, rank_and_list, rank_targets
from unisid.baselines.popularity import Config
from unisid.errors import ArtifactError


class UserByUser:
    """The same scores, ranked over all items for every user."""

    def __init__(self, baseline: Baseline) -> None:
        self.chosen, self.scores = baseline.chosen, baseline.scores


def test_counts_distinct_training_users(place):
    catalog = write_catalog(place, [[0, 0, 1, 3, 3], [1, 0, 2, 3]], num_items=5)
    scores = Config().build(catalog).scores(Histories(np.array([0]), np.array([0, 1])))
    assert scores.tolist() == [[2, 2, 0, 0, 0]] * 2  # item 3 is only ever held out; a repetition counts once


@given(st.lists(st.lists(st.integers(0, 8), min_size=3, max_size=9), min_size=1, max_size=8), st.integers(0, 9))
def test_its_ranks_and_lists_are_those_of_every_user(
    tmp_path_factory, users: Sequence[Sequence[int]], length: int
) -> None:
    catalog = write_catalog(Place.of(tmp_path_factory.mktemp("catalog")), [list(each) for each in users], num_items=9)
    baseline, rows = Config().build(catalog), catalog.samples(TEST)
    assert isinstance(baseline, SameForAll)
    assert not isinstance(UserByUser(baseline), SameForAll)
    both = (baseline, UserByUser(baseline))
    [quick], [slow] = (list(rank_and_list(each, catalog, rows, length)) for each in both)
    for ours, theirs in zip(quick, slow, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_counts_that_are_no_numbers_are_refused(place):
    catalog = write_catalog(place, [[0, 1, 2, 3], [1, 2, 3, 0]], num_items=5)
    baseline = Config().build(catalog)
    broken = dataclasses.replace(baseline, for_all=baseline.for_all * np.nan)
    with pytest.raises(ArtifactError, match="Popularity: gives items scores that are NaN"):
        list(rank_targets(broken, catalog, catalog.samples(TEST)))
