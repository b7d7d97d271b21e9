"""Ranks out of lists are a slow twin's, and those of the evaluator that scores all items."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.references import judged as slow
from unisid.artifacts.catalog import TEST
from unisid.baselines import Histories, mask_past
from unisid.judging import ranks as module
from unisid.judging.lists import Lists
from unisid.judging.ranks import positions, ranks_of
from unisid.ops.ranking import rank_of_target


def lists_of(by_user):
    """Lists of {user: [(item, score), ...]}."""
    flat = sorted((user, -score, item) for user, entries in by_user.items() for item, score in entries)
    user, minus, item = (np.array(part) for part in zip(*flat, strict=True))
    return Lists("here", user.astype(np.int64), item.astype(np.int64), -minus.astype(np.float64), "score")


@pytest.mark.parametrize("at_once", [3, 1 << 16])
def test_ranks_are_a_slow_twins(catalog, monkeypatch, at_once):
    monkeypatch.setattr(module, "SAMPLES_AT_ONCE", at_once)
    random = np.random.default_rng(1)
    by_user = {
        user: [(int(i), float(random.integers(3))) for i in random.permutation(15)[: random.integers(1, 15)]]
        for user in range(20)
        if user % 5
    }
    rows = catalog.samples(TEST)
    found, lengths = ranks_of(lists_of(by_user), catalog, rows)
    users = catalog.user[rows].tolist()
    past = [set(catalog.item[catalog.offsets[user] : row].tolist()) for user, row in zip(users, rows, strict=True)]
    entries = [by_user.get(user, []) for user in users]
    targets = catalog.item[rows].tolist()
    for rule in ("excluded", "allowed"):
        wanted = slow.ranks(entries, past, targets, rule == "excluded")
        np.testing.assert_array_equal(found[rule], wanted)
    assert lengths["allowed"].tolist() == [len(each) for each in entries]
    assert lengths["excluded"].tolist() == [
        sum(item not in before for item, _ in each) for each, before in zip(entries, past, strict=True)
    ]


def test_lists_of_all_items_have_the_ranks_of_all_scores(catalog):
    scores = np.random.default_rng(2).integers(0, 6, (20, 15)).astype(np.float32)
    rows = catalog.samples(TEST)
    whole = {user: [(item, float(scores[user, item])) for item in range(15)] for user in range(20)}
    found, _ = ranks_of(lists_of(whole), catalog, rows)
    dense, targets = torch.from_numpy(scores[catalog.user[rows]]), torch.from_numpy(catalog.item[rows].astype(np.int64))
    np.testing.assert_array_equal(found["allowed"], rank_of_target(dense, targets).numpy())
    without = mask_past(dense, Histories.of(catalog.past(rows)))
    np.testing.assert_array_equal(found["excluded"], rank_of_target(without, targets).numpy())


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), max_size=5))
def test_positions_count_half_of_the_others_of_an_equal_score(groups):
    ordered = [sorted(group, reverse=True) for group in groups]
    group = np.repeat(np.arange(len(groups)), [len(each) for each in groups])
    score = np.array([value for each in ordered for value in each], np.float64)
    wanted = [
        1 + sum(other > value for other in each) + (sum(other == value for other in each) - 1) / 2
        for each in ordered
        for value in each
    ]
    assert positions(group, score).tolist() == wanted
