"""Figures by group: equal to a slow twin's and to scikit-learn's, and every sample in the groups where it belongs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score

from tests.references import groups as slow
from tests.stages import ring
from unisid.artifacts.catalog import TEST, Catalog
from unisid.evaluation.groups import (
    ALL,
    COLD,
    ORDER,
    THIRDS,
    all_groups,
    by_group,
    groups_of,
    in_order,
    popularity_thirds,
    taken_by,
)

N = 12


@given(st.lists(st.integers(0, 5), max_size=40))
def test_thirds_are_a_slow_twins(users):
    assert popularity_thirds(np.array(users, np.int64)).tolist() == slow.thirds(users)


@given(st.lists(st.tuples(st.one_of(st.just(np.nan), st.floats(1, 30)), st.booleans()), min_size=1, max_size=40))
def test_figures_are_a_slow_twins(samples):
    ranks, inside = (list(part) for part in zip(*samples, strict=True))
    groups = {"some": np.array(inside)} if any(inside) else {}
    found = by_group(np.array(ranks), groups, 10)
    for figures in found.values():
        assert figures == pytest.approx(slow.figures(ranks, inside, 10))


def test_reciprocal_rank_and_gain_are_scikit_learns():
    """Over whole rankings, where nothing is cut off; with one target MAP is MRR."""
    random = np.random.default_rng(0)
    scores = random.random((50, N))
    targets = random.integers(0, N, 50)
    relevant = np.eye(N, dtype=int)[targets]
    ranks = 1.0 + (scores > scores[np.arange(50), targets][:, None]).sum(1)
    found = by_group(ranks, {ALL: np.ones(50, bool)}, N)[ALL]
    assert found[f"MRR@{N}"] == pytest.approx(label_ranking_average_precision_score(relevant, scores))
    assert found[f"NDCG@{N}"] == pytest.approx(ndcg_score(relevant, scores))


@pytest.fixture
def catalog(place) -> Catalog:
    """Items 0 to 8 are in the training rows, 9 and 10 in the test rows alone, and 11 in none."""
    users = [[item % 9, (item + 1) % 9, *range(item % 5), 9 + item % 2] for item in range(9)]
    labels = [[0] * (len(items) - 2) + [1, 2] for items in users]
    return Catalog.read(ring.write_catalog(place, users, N, labels))


def test_every_sample_belongs_where_it_should(catalog):
    rows = catalog.samples(TEST)
    groups = groups_of(catalog, rows)
    assert groups[ALL].all()
    assert groups[COLD].all()  # no target of the test was met in training
    lengths = [row - catalog.offsets[catalog.user[row]] for row in rows]
    assert groups["history of 2 to 4"].tolist() == [2 <= length <= 4 for length in lengths]
    histories = [inside for name, inside in groups.items() if name.startswith("history")]
    assert (np.sum(histories, axis=0) == 1).all()
    assert not set(THIRDS) & set(groups)  # empty ones are left out
    assert list(groups) == list(in_order(dict.fromkeys(sorted(groups)))) == [name for name in ORDER if name in groups]
    valid = groups_of(catalog, catalog.samples(1))
    assert (np.sum([inside for name, inside in valid.items() if name in (*THIRDS, COLD)], axis=0) == 1).all()


def test_popularity_counts_users_of_the_training_alone(catalog):
    users = taken_by(catalog)
    assert users[9:].tolist() == [0, 0, 0]
    assert users[0] == len(
        {int(u) for u, i, s in zip(catalog.user, catalog.item, catalog.split, strict=True) if i == 0 and s == 0}
    )


def test_all_methods_and_rules_are_there():
    ranks = {"a": {"excluded": np.array([1.0, np.nan]), "allowed": np.array([2.0, 3.0])}}
    found = all_groups(ranks, {ALL: np.ones(2, bool)}, 2)
    assert found["a"]["excluded"][ALL] == {"samples": 2, "HR@2": 0.5, "NDCG@2": 0.5, "MRR@2": 0.5}
    assert found["a"]["allowed"][ALL]["MRR@2"] == 0.25
