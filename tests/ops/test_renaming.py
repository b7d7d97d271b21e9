"""New codes under old names: a permutation found again, no better one by trial, and shares counted by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisid.ops.renaming import moved, names_like

CODES = st.lists(st.tuples(*[st.integers(0, 2)] * 4), min_size=1, max_size=12)


def renamed(names, codes):
    return np.column_stack([name[column] for name, column in zip(names, codes.T, strict=True)])


@given(st.integers(0, 9))
def test_a_permutation_of_every_level_is_found_again(seed):
    random = np.random.default_rng(seed)
    old = random.integers(0, 6, (200, 3))
    shuffled = [random.permutation(6) for _ in range(3)]
    new = renamed(shuffled, old)
    assert np.array_equal(renamed(names_like(old, new, (6, 6, 6)), new), old)


@given(CODES)
def test_no_other_names_keep_more_items_of_kept_prefixes(rows):
    values = np.array(rows)
    old, new = values[:, :2], values[:, 2:]
    names = names_like(old, new, (3, 3))
    assert [sorted(name.tolist()) for name in names] == [[0, 1, 2]] * 2
    kept = np.ones(len(old), bool)
    for level in range(2):
        best = max(
            int((kept & (np.array(name)[new[:, level]] == old[:, level])).sum())
            for name in itertools.permutations(range(3))
        )
        kept &= names[level][new[:, level]] == old[:, level]
        assert int(kept.sum()) == best


def test_the_example_and_what_no_item_decides():
    old, new = np.array([[0], [0], [1], [1]]), np.array([[2], [2], [0], [1]])
    assert names_like(old, new, (3,))[0].tolist() == [2, 1, 0]
    assert names_like(old, old, (5,))[0].tolist() == [0, 1, 2, 3, 4]


def test_shares_by_level_and_by_prefix():
    old, new = np.array([[0, 1], [0, 1], [2, 2], [1, 1]]), np.array([[0, 1], [0, 0], [1, 2], [1, 1]])
    by_level, kept = moved(old, new)
    assert by_level == pytest.approx([0.25, 0.25])
    assert kept == pytest.approx([0.75, 0.5])
