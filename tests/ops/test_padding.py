"""Rows side by side, against a loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisid.ops.padding import PAD, padded

ROWS = st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=4)


@given(ROWS, st.integers(0, 6), st.booleans())
def test_short_rows_are_filled_up(rows, width, apart):
    gap = [[99]] if apart else [[]]
    laid = [entry for row in rows for part in (row, *gap) for entry in part]
    lengths = np.array([len(row) for row in rows], np.int64)
    starts = np.cumsum(lengths + apart) - lengths - apart
    longest = max([width, *map(len, rows)])
    expected = [row + [PAD] * (longest - len(row)) for row in rows]
    found = padded(np.array(laid, np.int64), lengths, starts if apart else None, width)
    assert found.shape == (len(rows), longest)
    assert found.tolist() == expected


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_entries_are_int64_whatever_they_were(kind):
    assert padded(np.array([1, 2], kind), np.array([2])).numpy().dtype == np.int64
