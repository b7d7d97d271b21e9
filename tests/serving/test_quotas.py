"""Quotas: the greedy choice down a ranking, in as many rounds as rankings come."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisid.errors import DataError
from unisid.serving.columns import Columns
from unisid.serving.filters import Filters
from unisid.serving.quotas import Quota, Quotas

NONE = (np.empty(0, np.int64), np.empty(0, np.float32))


def filters(makers):
    return Filters(Columns({"maker": pa.array(makers, pa.string()), "lists": pa.array([["a"]] * len(makers))}))


def ranked(items):
    return np.array(items, np.int64), -np.arange(len(items), dtype=np.float32)


def greedy(makers, order, quota, k):
    counts, found = {}, []
    for item in order:
        most = quota.most if isinstance(quota.most, int) else quota.most.get(str(makers[item]), 0)
        if len(found) < k and counts.get(makers[item], 0) < most:
            counts[makers[item]] = counts.get(makers[item], 0) + 1
            found.append(item)
    return found


@given(
    st.lists(st.sampled_from(["x", "y", None]), min_size=1, max_size=9),
    st.integers(0, 3) | st.fixed_dictionaries({}, optional={"x": st.integers(0, 2), "y": st.integers(0, 2)}),
    st.integers(1, 9),
    st.integers(1, 9),
    st.randoms(use_true_random=False),
)
def test_rounds_of_any_length_choose_what_one_ranking_of_all_would(makers, most, k, length, random):
    order, quota = random.sample(range(len(makers)), len(makers)), Quota("maker", most)
    quotas, taken, mask = Quotas(filters(makers)), NONE, None
    for _ in range(len(makers) + 1):
        left = [item for item in order if mask is None or mask[item]][: max(k, length)]
        items, scores, mask = quotas.choose(quota, ranked(left), taken, k, mask)
        taken = items, scores
        if mask is None:
            break
    assert mask is None
    assert taken[0].tolist() == greedy(makers, order, quota, k)


def test_only_categories_with_room_are_ranked_again():
    quotas = Quotas(filters(["x", "x", "x", "y", "y", None]))
    items, scores, left = quotas.choose(Quota("maker", 1), ranked([0, 1, 2]), NONE, 3, None)
    assert (items.tolist(), scores.tolist()) == ([0], [0.0])
    assert np.flatnonzero(left).tolist() == [3, 4, 5]
    items, _, left = quotas.choose(Quota("maker", 1), ranked([4, 3, 5]), (items, scores), 3, left)
    assert (items.tolist(), left) == ([0, 4, 5], None)


def test_what_a_quota_names_must_be_there():
    held = filters(["x", None])
    Quota("maker", {"x": 1, "None": 2}).check(held)
    Quota("maker", 3).check(held)
    with pytest.raises(DataError, match="quota: no item has 'z' in the column 'maker'"):
        Quota("maker", {"x": 1, "z": 1}).check(held)
    with pytest.raises(DataError, match="quota: no column 'brand'"):
        Quota("brand", 1).check(held)
    with pytest.raises(DataError, match="column of lists"):
        Quota("lists", 1).check(held)
