import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.references.kcore import k_core as one_by_one
from unisid.ops.kcore import k_core, largest_k

PAIRS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=60)


def columns(pairs):
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


@given(PAIRS, st.integers(0, 5))
def test_equals_the_removal_one_by_one(pairs, k):
    assert np.flatnonzero(k_core(*columns(pairs), k)).tolist() == one_by_one(pairs, k)


@given(PAIRS, st.integers(1, 5))
def test_everyone_who_stays_has_k_and_a_second_pass_changes_nothing(pairs, k):
    user, item = columns(pairs)
    kept = k_core(user, item, k)
    user, item = user[kept], item[kept]
    if len(user):
        assert np.unique(user, return_counts=True)[1].min() >= k
        assert np.unique(item, return_counts=True)[1].min() >= k
    assert k_core(user, item, k).all()


@given(PAIRS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(pairs, random):
    shuffled = random.sample(pairs, len(pairs))
    kept = [p for p, stays in zip(pairs, k_core(*columns(pairs), 3), strict=True) if stays]
    also = [p for p, stays in zip(shuffled, k_core(*columns(shuffled), 3), strict=True) if stays]
    assert sorted(kept) == sorted(also)


@pytest.mark.parametrize(("pairs", "below", "best"), [([(0, 0), (0, 0), (0, 0)], 9, 3), ([(0, 0)], 2, 1), ([], 5, 0)])
def test_the_largest_core_that_is_not_empty(pairs, below, best):
    assert largest_k(*columns(pairs), below) == best
