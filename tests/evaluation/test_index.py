"""The quality report's figures, each against a count by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from unisid.errors import ConfigError, DataError
from unisid.evaluation.index import (
    Gate,
    check,
    consistency,
    describe,
    entropy,
    gini,
    jaccard,
    pairs_across,
    pairs_within,
    shared_users,
)


def test_description_by_hand():
    codes = np.array([[0, 1], [0, 1], [0, 2], [1, 0], [0, 1]], np.int32)
    found = describe(codes, (2, 4))
    assert found["usage"] == [1.0, 0.75]
    assert found["distinct_share"] == 3 / 5
    assert found["collision_rate"] == 3 / 5  # three of five share their tuple
    assert found["largest_collision"] == 3
    assert found["gini"] == pytest.approx(gini(np.array([3, 1, 1])))  # of items by whole id
    assert found["entropy"][0] == pytest.approx(-(0.8 * math.log2(0.8) + 0.2 * math.log2(0.2)))


def test_entropy_is_one_for_equal_use_and_nought_for_one_code():
    assert entropy(np.full(8, 1 / 8)) == pytest.approx(1)
    assert entropy(np.eye(8)[3]) == 0
    assert entropy(np.ones(1)) == 1  # of a level that has no other


def test_gini_is_the_mean_difference_of_two_codes_of_those_in_use():
    assert gini(np.array([3, 3, 0, 3])) == pytest.approx(0)
    assert gini(np.array([5])) == pytest.approx(0)
    for counts in (np.array([1, 1, 1, 97]), np.array([0, 7, 2, 4, 4, 1])):
        used = counts[counts > 0]
        apart = np.abs(used[:, None] - used[None]).mean()
        assert gini(counts) == pytest.approx(apart / (2 * used.mean()))


@settings(max_examples=50)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 9))
def test_pairs_are_of_different_items_within_and_of_different_keys_across(keys, seed):
    keys = np.array(keys, np.int64)
    first, second = pairs_within(keys, 100, seed)
    assert (first != second).all()
    assert (keys[first] == keys[second]).all()
    assert bool(len(first)) == (len(set(keys.tolist())) < len(keys))
    first, second = pairs_across(keys, 100, seed)
    assert (keys[first] != keys[second]).all()


def test_all_pairs_of_a_key_are_equally_likely():
    first, second = pairs_within(np.array([7, 3, 7, 7]), 6000, 0)
    counts = np.bincount(first * 4 + second, minlength=16)
    assert (np.flatnonzero(counts) == [2, 3, 8, 11, 12, 14]).all()
    assert abs(counts[counts > 0] - 1000).max() < 150


def test_jaccard_is_that_of_sets():
    random = np.random.default_rng(0)
    dense = random.random((12, 9)) < 0.3
    dense[3] = dense[4] = False
    first, second = random.integers(0, 12, (2, 60))
    first[0], second[0] = 3, 4
    sets = [set(np.flatnonzero(row).tolist()) for row in dense]
    expected = [len(sets[a] & sets[b]) / max(1, len(sets[a] | sets[b])) for a, b in zip(first, second, strict=True)]
    found = jaccard(sparse.csr_matrix(dense.astype(np.float32)), first, second)
    assert found.tolist() == pytest.approx(expected)


def test_prefixes_of_alike_items_show_in_both_figures():
    codes = np.array([[g, i] for g in range(4) for i in range(10)], np.int32)
    vectors = np.eye(4, dtype=np.float32)[codes[:, 0]]
    cosine = consistency(codes, lambda rows: vectors[rows], 0)["cosine"]
    assert cosine == {"across": 0.0, "within_1": 1.0}
    items = np.arange(40, dtype=np.int32)
    overlap = shared_users(codes, (items // 10, items), 0)["user_overlap"]
    assert overlap == {"across": 0.0, "within_1": 1.0}
    none = np.empty(0, np.int32)
    assert shared_users(codes, (none, none), 0)["user_overlap"] == {"across": 0.0, "within_1": 0.0}


def test_gate_lists_every_figure_that_is_too_low():
    report = {"distinct_share": 0.6, "usage": [1.0, 0.4], "entropy": [0.9, 0.8]}
    check(Gate(), report)
    check(Gate(distinct=0.6, usage=0.4, entropy=0.8), report)
    with pytest.raises(DataError, match=r"distinct_share is 0\.600.*0\.700; usage of level 2 is 0\.400.*0\.500"):
        check(Gate(distinct=0.7, usage=0.5, entropy=0.8), report)


def test_thresholds_are_shares():
    with pytest.raises(ConfigError, match="codes.gate.distinct: is 70; must be at least 0 and at most 1"):
        Gate(distinct=70)
