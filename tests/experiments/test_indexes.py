"""The figures of an index against slow twins, and what they say of planted structure."""

import itertools

import numpy as np
import pytest
import scipy.stats

from unisid.experiments import indexes

random = np.random.default_rng(0)


def interactions(num_users: int = 40, num_items: int = 24, share: float = 0.2):
    taken = random.random((num_users, num_items)) < share
    users, items = np.nonzero(taken)
    return taken, users, items


def overlap_by_pairs(groups, taken, within: bool) -> float:
    pairs = [(i, j) for i, j in itertools.combinations(range(len(groups)), 2) if (groups[i] == groups[j]) == within]
    return float(np.mean([(taken[:, i] & taken[:, j]).sum() for i, j in pairs]))


def test_overlap_counts_every_pair():
    taken, users, items = interactions()
    groups = random.integers(0, 4, taken.shape[1])
    assert indexes.user_overlap(groups, users, items).value == pytest.approx(overlap_by_pairs(groups, taken, True))
    assert indexes.overlap_across(groups, users, items) == pytest.approx(overlap_by_pairs(groups, taken, False))


def test_overlap_by_chance_is_that_of_all_pairs_and_planted_groups_are_seen():
    groups = np.repeat(np.arange(4), 6)
    taken = np.zeros((40, 24), bool)
    for user in range(40):
        taken[user, groups == user % 4] = random.random(6) < 0.7
    users, items = np.nonzero(taken)
    found = indexes.user_overlap(groups, users, items)
    assert found.p == 1 / (1 + indexes.PERMUTATIONS)
    assert found.value > 3 * found.by_chance
    assert indexes.user_overlap(random.permutation(groups), users, items).p > 0.01


def test_overlap_without_pairs_is_no_number():
    _, users, items = interactions()
    found = indexes.user_overlap(np.arange(24), users, items)
    assert np.isnan(found.value)
    assert found.p == 1.0
    assert np.isnan(indexes.overlap_across(np.zeros(24, np.int64), users, items))


def test_siblings_are_pairs_under_one_first_code():
    taken, users, items = interactions()
    codes = np.column_stack([random.integers(0, 3, 24), random.integers(0, 2, 24), np.arange(24)]).astype(np.int32)
    found = indexes.siblings(codes, users, items)
    shared = {True: [], False: []}
    for i, j in itertools.combinations(range(24), 2):
        if codes[i, 0] == codes[j, 0]:
            shared[bool(codes[i, 1] == codes[j, 1])].append((taken[:, i] & taken[:, j]).sum())
    assert found.within.value == pytest.approx(np.mean(shared[True]))
    assert found.across == pytest.approx(np.mean(shared[False]))
    assert found.within.p > 0.005


def test_siblings_by_chance_keep_their_first_code():
    """Second codes say nothing here beyond first ones, which say all: chance is what is found."""
    first = np.repeat([0, 1], 12)
    codes = np.column_stack([first, np.tile([0, 1], 12), np.arange(24)]).astype(np.int32)
    taken = np.zeros((40, 24), bool)
    for user in range(40):
        taken[user, first == user % 2] = True
    found = indexes.siblings(codes, *np.nonzero(taken))
    assert found.within.value == pytest.approx(found.within.by_chance) == pytest.approx(20)
    assert found.within.p == 1.0


def test_siblings_that_cannot_be_are_no_numbers():
    _, users, items = interactions()
    for codes in (np.arange(24)[:, None], np.column_stack([np.zeros(24), np.arange(24)])):
        found = indexes.siblings(codes.astype(np.int32), users, items)
        assert np.isnan(found.within.value)
        assert found.within.p == 1.0
    alone = np.column_stack([np.arange(24) // 2, np.zeros(24)]).astype(np.int32)
    assert np.isnan(indexes.siblings(alone, users, items).across)


def test_purity_is_the_share_of_the_commonest_label():
    groups, labels = np.array([0, 0, 0, 1, 1, 2]), np.array([5, 5, 1, 1, 1, 0])
    assert indexes.purity(groups, labels).value == pytest.approx((2 + 2 + 1) / 6)
    same = indexes.purity(np.repeat([0, 1], 20), np.repeat([0, 1], 20))
    assert same.value == 1.0
    assert same.by_chance < 0.75
    assert same.p < 0.01


def recall_by_draws(codes, vectors, k, draws=4000) -> float:
    """The k of the longest common prefix, ties in random order."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    shares = []
    for item in range(len(codes)):
        others = np.delete(np.arange(len(codes)), item)
        near = others[np.argsort(-(unit[others] @ unit[item]))[:k]]
        common = np.cumprod(codes[others] == codes[item], axis=1).sum(1)
        hits = [
            np.isin(near, others[np.lexsort((random.random(len(others)), -common))[:k]]).mean()
            for _ in range(draws // len(codes))
        ]
        shares.append(np.mean(hits))
    return float(np.mean(shares))


def test_neighbour_recall_is_the_mean_over_ties_in_random_order(monkeypatch):
    monkeypatch.setattr(indexes, "NEIGHBOURS", 4)
    codes = random.integers(0, 3, (20, 2)).astype(np.int32)
    vectors = random.normal(size=(20, 5)).astype(np.float32)
    assert indexes.neighbour_recall(codes, vectors) == pytest.approx(recall_by_draws(codes, vectors, 4), abs=0.01)


def test_neighbour_recall_is_whole_where_prefixes_are_the_neighbourhoods_and_chance_where_they_say_nothing():
    centres = random.normal(size=(5, 16))
    vectors = (np.repeat(centres, 21, 0) + 1e-3 * random.normal(size=(105, 16))).astype(np.float32)
    codes = np.column_stack([np.repeat(np.arange(5), 21), np.tile(np.arange(21), 5)]).astype(np.int32)
    assert indexes.neighbour_recall(codes, vectors) == pytest.approx(1.0)
    assert indexes.neighbour_recall(np.zeros_like(codes), vectors) == pytest.approx(20 / 104)


def test_vector_recall_counts_common_neighbours(monkeypatch):
    monkeypatch.setattr(indexes, "NEIGHBOURS", 2)
    here = np.array([[1, 0], [1, 0.1], [1, 0.3], [0, 1], [0.1, 1]], np.float32)
    assert indexes.vector_recall(here, here) == 1.0
    there = np.array([[1, 0], [1, 0.1], [0, 1], [1, 0.3], [0.1, 1]], np.float32)
    # nearest two here: 12, 02, 10, 42, 32; there: 13, 03, 43, 10, 23
    assert indexes.vector_recall(there, here) == pytest.approx((1 + 1 + 0 + 0 + 2) / 2 / 5)


def test_what_is_learned_is_how_far_below_chance_the_held_out_loss_is():
    valid = {"structure": 5.0, "structure_chance": 5.5, "semantic": 2.0, "semantic_chance": 5.5}
    assert indexes.learned({"valid": valid}) == {"structure learned": 0.5, "semantic learned": 3.5}
    assert all(np.isnan(value) for value in indexes.learned({"width": 8}).values())


def test_items_of_which_nothing_is_known_are_not_asked():
    assert np.isnan(indexes.neighbour_recall(np.zeros((3, 2), np.int32), np.zeros((3, 4), np.float32)))


def test_predictors_are_reported_by_rank_correlation():
    rows = [{"good": x, "none": 0.0, "bad": -x, "some": x if x > 1 else np.nan} for x in (1.0, 2.0, 4.0, 8.0)]
    found = indexes.predict(rows, [0.1, 0.2, 0.3, 0.35])
    assert found["good"].correlation == pytest.approx(1.0)
    assert found["bad"].correlation == pytest.approx(-1.0)
    assert np.isnan(found["none"].correlation)
    assert found["none"].p == 1.0
    assert found["good"].indexes == 4
    assert found["some"].correlation == pytest.approx(1.0)
    assert found["some"].indexes == 3  # of the first nothing is known
    assert found["good"].p == pytest.approx(2 / 24)  # of all orders of four, this one and its reverse


def test_chance_is_told_by_permutation_which_for_many_indexes_is_the_usual_p():
    rng = np.random.default_rng(0)
    metric = rng.normal(size=30)
    figure = metric + 2 * rng.normal(size=30)
    found = indexes.predict([{"figure": value} for value in figure], metric.tolist())["figure"]
    usual = scipy.stats.spearmanr(figure, metric)
    assert found.correlation == pytest.approx(usual.statistic)
    assert found.p == pytest.approx(usual.pvalue, abs=0.015)
