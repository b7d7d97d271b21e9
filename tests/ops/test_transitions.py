import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import transitions as reference
from unisid.ops.related import PAD, entries, recall
from unisid.ops.transitions import Weights, count_transitions

N = 12
WEIGHTS = Weights(gap=3)
SEQUENCES = st.lists(st.lists(st.integers(0, N - 1), min_size=1, max_size=9), min_size=1, max_size=6)


def counted(sequences, keep=N):
    items = np.concatenate([np.array(row, np.int64) for row in sequences])
    users = np.repeat(np.arange(len(sequences)), [len(row) for row in sequences])
    return count_transitions(items, users, N, WEIGHTS, keep)


@given(SEQUENCES)
@settings(deadline=None, max_examples=50)
def test_the_table_is_the_sum_over_pairs(sequences):
    (items, values), counts = counted(sequences)
    expected = reference.table(sequences, N, WEIGHTS)
    found = {
        (a, int(b)): float(value) for a in range(N) for b, value in zip(items[a], values[a], strict=True) if b != PAD
    }
    assert found.keys() == expected.keys()
    assert all(abs(found[pair] - expected[pair]) < 1e-6 for pair in expected)
    assert (values.diff(dim=1) <= 0).all()
    assert counts.tolist() == [sum(row.count(item) for row in sequences) for item in range(N)]


@given(SEQUENCES, st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_a_pair_counts_the_root_of_the_product_of_its_weights(sequences, seed):
    each = [
        np.random.default_rng(seed + n).choice([1.0, 3.0, 10.0], len(row)).tolist() for n, row in enumerate(sequences)
    ]
    items = np.concatenate([np.array(row, np.int64) for row in sequences])
    users = np.repeat(np.arange(len(sequences)), [len(row) for row in sequences])
    table, counts = count_transitions(items, users, N, WEIGHTS, N, np.concatenate(each))
    expected = reference.table(sequences, N, WEIGHTS, each)
    found = {(a, int(b)): float(v) for a in range(N) for b, v in zip(table.items[a], table.values[a], strict=True)}
    found = {pair: value for pair, value in found.items() if pair[1] != PAD}
    assert found.keys() == expected.keys()
    assert all(abs(found[pair] - expected[pair]) < 1e-6 for pair in expected)
    assert counts.tolist() == [sum(row.count(item) for row in sequences) for item in range(N)]


def test_the_strongest_transitions_are_kept():
    sequences = [[0, 1], [0, 1], [0, 2], [0, 3], [0, 3], [0, 3]]
    (items, values), _ = counted(sequences, keep=2)
    assert items[0].tolist() == [3, 1]
    assert (values[0] > 0).all()


@given(SEQUENCES, st.lists(st.integers(0, N - 1), min_size=1, max_size=6))
@settings(deadline=None, max_examples=50)
def test_what_a_history_recalls_is_the_weighted_sum_of_its_latest_items_rows(sequences, history):
    table, _ = counted(sequences)
    latest = torch.full((2, 4), PAD)
    latest[0, : min(4, len(history))] = torch.tensor(history[::-1][:4])
    known, mass = recall(*entries(table, latest, recency=0.5), size=N)
    expected = reference.mass(reference.table(sequences, N, WEIGHTS), history, 0.5, 4)
    found = {int(item): float(value) for item, value in zip(known[0], mass[0], strict=True) if value > 0}
    assert found.keys() == {item for item, value in expected.items() if value > 0}
    assert all(abs(found[item] - expected[item]) < 1e-5 for item in found)
    assert (mass[0].diff() <= 1e-7).all()
    assert mass[1].tolist() == [0.0] * mass.shape[1]
