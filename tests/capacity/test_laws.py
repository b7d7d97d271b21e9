"""What costs depend on besides units, beside what it is derived from."""

import io
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unisid.capacity.laws import compared, entry_bits, number_bits, score_bytes
from unisid.ops.ranking import SCORES_AT_ONCE


@pytest.mark.parametrize("items", [10**4, 10**6, 10**8])
@pytest.mark.parametrize("group", [1 << 13, 10 << 13, 50 << 13])
def test_numbers_take_as_many_bits_as_parquet_writes(items, group):
    """A row group as `sequences` writes it; the largest fills its dictionary."""
    drawn = np.random.default_rng(0).integers(0, items, group).astype(np.int32)
    file = io.BytesIO()
    pq.write_table(pa.table({"history": drawn}), file, compression="zstd")
    assert number_bits(items, group) == pytest.approx(8 * len(file.getvalue()) / group, rel=0.03)


@pytest.mark.parametrize("items", [1, 256, 70_000])
def test_the_bytes_of_numbers_have_one_table(items):
    values = np.arange(items, dtype="<u4").view(np.uint8)
    shares = np.bincount(values) / len(values)
    shares = shares[shares > 0]
    assert entry_bits(items) == pytest.approx(-4 * (shares * np.log2(shares)).sum(), abs=1e-9)


def test_an_item_is_compared_with_centres_twice_and_with_its_lists():
    lists, items = 4 * 1000, 10**6
    assert compared(32) * math.sqrt(items) == pytest.approx(2 * lists + 32 * items / lists)


def test_scores_are_held_for_as_many_users_as_fit():
    assert score_bytes(200, 50_000) == 13 * 200 * 50_000
    assert score_bytes(200, 10**6) == score_bytes(10_000, 10**8) == 13 * SCORES_AT_ONCE
    assert score_bytes(0, 10**6) == 0
