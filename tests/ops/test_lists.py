"""Coverage, Gini, novelty and likeness of lists: by hand, and by slow twins over random ones."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics.pairwise import cosine_similarity

from unisid.ops import lists

N = 8
LISTS = np.array([[0, 1, 2], [0, 1, -1], [0, 3, 2]])


def test_coverage_is_the_share_of_items_that_are_listed():
    assert lists.counts_of(LISTS, N).tolist() == [3, 2, 2, 1, 0, 0, 0, 0]
    assert lists.coverage(lists.counts_of(LISTS, N)) == 0.5


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20))
def test_gini_is_half_the_relative_mean_difference(counts):
    total = sum(counts)
    slow = sum(abs(a - b) for a, b in itertools.product(counts, repeat=2)) / (2 * len(counts) * total) if total else 0
    assert lists.gini(np.array(counts)) == pytest.approx(slow)


def test_gini_reaches_from_equal_to_one_alone():
    assert lists.gini(np.full(5, 3)) == 0
    assert lists.gini(np.array([0, 0, 0, 7])) == 0.75


def test_novelty_is_the_mean_surprise_in_bits():
    users = np.array([3, 1, 0, 0, 0, 0, 0, 0])
    slow = np.mean([-math.log2((users[i] + 1) / 8) for row in LISTS for i in row if i >= 0])
    assert lists.novelty(LISTS, users, num_users=7) == pytest.approx(slow)
    assert lists.novelty(np.full((2, 3), -1), users, 7) == 0


def test_likeness_is_scikit_learns_cosine_of_pairs():
    users_of = np.random.default_rng(0).integers(0, 2, (N, 20)).astype(np.float32)
    users_of[5] = 0  # no user took it
    listed = np.array([[0, 1, 2], [3, 5, -1], [4, -1, -1]])
    cosine = cosine_similarity(users_of)
    slow = [
        np.mean([cosine[a, b] for a, b in itertools.combinations([i for i in row if i >= 0], 2)]) for row in listed[:2]
    ]
    assert lists.likeness(listed, sparse.csr_matrix(users_of), seed=0) == pytest.approx(np.mean(slow), abs=1e-6)
    assert lists.likeness(listed[2:], sparse.csr_matrix(users_of), seed=0) == 0


def test_coverage_novelty_and_likeness_are_rectools():
    """Its novelty is ours with one user more, who took every item; its diversity is one minus the likeness."""
    theirs = pytest.importorskip("rectools.metrics", reason="rectools is not installed")
    random = np.random.default_rng(0)
    listed = np.stack([random.permutation(20)[:5] for _ in range(30)])
    took = random.random((20, 25)) < random.random((20, 1)) ** 2
    took[:, 0] = True  # or a list of items without users has no cosine
    reco = pd.DataFrame(
        {"user_id": np.repeat(range(30), 5), "item_id": listed.ravel(), "rank": np.tile(range(1, 6), 30)}
    )
    item, user = np.nonzero(np.c_[took, np.ones(20)])
    taken = pd.DataFrame({"user_id": user, "item_id": item})
    coverage = theirs.CatalogCoverage(k=5, normalize=True).calc(reco, range(20))
    assert lists.coverage(lists.counts_of(listed, 20)) == coverage
    novelty = theirs.MeanInvUserFreq(k=5).calc(reco, taken)
    assert lists.novelty(listed, took.sum(1), num_users=25) == pytest.approx(novelty, rel=1e-12)

    class Cosine(theirs.PairwiseDistanceCalculator):
        def _get_distances_for_item_pairs(self, items_0, items_1):
            return 1 - cosine_similarity(took.astype(float))[np.array(items_0, int), np.array(items_1, int)]

    likeness = lists.likeness(listed, sparse.csr_matrix(took.astype(float)), seed=0)
    diversity = theirs.IntraListDiversity(k=5, distance_calculator=Cosine()).calc(reco)
    assert likeness == pytest.approx(1 - diversity, rel=1e-9)
