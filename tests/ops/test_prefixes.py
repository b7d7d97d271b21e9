"""Keys and searches of rows of codes, as with tuples; for any number of levels and unequal sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import prefixes as twin
from unisid.ops.prefixes import lexicographic_order, narrowed, row_keys

LARGEST = (1 << 31) - 1
"""The greatest code that fits int32."""


@st.composite
def rows(draw):
    """Codes of 0 to 40 levels with sizes from 1 to 2^31, with repeated rows and repeated prefixes."""
    sizes = draw(st.lists(st.sampled_from([1, 2, 3, 256, 1 << 20, LARGEST + 1]), max_size=40))
    few = draw(st.lists(st.tuples(*(st.integers(0, size - 1) for size in sizes)), min_size=1, max_size=8))
    picks = draw(st.lists(st.integers(0, len(few) - 1), max_size=20))
    cuts = draw(st.lists(st.integers(0, len(sizes)), min_size=len(picks), max_size=len(picks)))
    made = [few[pick][:cut] + few[0][cut:] for pick, cut in zip(picks, cuts, strict=True)]
    return np.array(made, np.int32).reshape(len(made), len(sizes))


@settings(max_examples=200, deadline=None)
@given(rows())
def test_keys_group_and_order_rows_as_tuples_do(codes):
    keys = row_keys(codes)
    assert keys.dtype == np.int64
    assert np.unique(keys, return_inverse=True)[1].tolist() == twin.ranks(codes.tolist())


@settings(max_examples=200, deadline=None)
@given(rows())
def test_rows_are_ordered_as_tuples_and_equal_ones_as_they_stand(codes):
    texts = [tuple(row) for row in codes.tolist()]
    assert lexicographic_order(codes).tolist() == sorted(range(len(texts)), key=texts.__getitem__)


def test_few_levels_are_numbered_without_sorting():
    codes = np.array([[a, b, c] for a in range(3) for b in range(4) for c in range(5)])
    assert row_keys(codes).tolist() == list(range(60))


def test_keys_of_many_rows_and_levels_have_no_accidental_equals():
    """Two rows that differ in their last code alone, among a hundred thousand of 64 levels of a million codes."""
    codes = np.random.default_rng(0).integers(0, 1 << 20, (100_000, 64)).astype(np.int32)
    codes[777] = codes[31]
    codes[777, -1] ^= 1
    assert len(np.unique(row_keys(codes))) == 100_000
    codes[777, -1] ^= 1
    keys = row_keys(codes)
    assert len(np.unique(keys)) == 99_999
    assert keys[777] == keys[31]


@settings(max_examples=200, deadline=None)
@given(rows(), st.data())
def test_level_by_level_a_prefix_is_narrowed_down_to_its_rows(codes, data):
    order = np.argsort(row_keys(codes), kind="stable")
    ascending = codes[order]
    length = data.draw(st.integers(0, codes.shape[1]))
    wanted = [tuple(row[:length]) for row in codes.tolist()]
    wanted += [(*row[:-1], data.draw(st.sampled_from([0, 1, 255, LARGEST]))) for row in wanted if row]
    low, high = np.zeros(len(wanted), np.int64), np.full(len(wanted), len(codes))
    for level in range(length):
        low, high = narrowed(ascending[:, level], low, high, np.array([row[level] for row in wanted], np.int64))
    for prefix, first, last in zip(wanted, low, high, strict=True):
        assert order[first:last].tolist() == twin.found(codes.tolist(), prefix)


@pytest.mark.parametrize("code", [0, 7])
def test_nothing_is_found_among_nothing(code):
    low, high = narrowed(np.empty(0, np.int32), np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([code]))
    assert low.tolist() == high.tolist() == [0]
