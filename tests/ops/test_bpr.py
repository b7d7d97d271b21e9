import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import bpr as reference
from unisid.ops.bpr import Unknown, bpr

scores = st.lists(st.tuples(st.floats(-20, 20), st.floats(-20, 20)), min_size=1, max_size=20)


@settings(deadline=None)
@given(scores)
def test_the_loss_is_that_of_the_definition(pairs):
    known, unknown = torch.tensor(pairs, dtype=torch.float64).T
    assert bpr(known, unknown).item() == pytest.approx(reference.bpr(known.tolist(), unknown.tolist()), rel=1e-9)


@settings(deadline=None)
@given(scores, st.integers(0, 2**32 - 1))
def test_weights_make_a_weighted_mean(pairs, seed):
    known, unknown = torch.tensor(pairs, dtype=torch.float64).T
    weights = torch.from_numpy(np.random.default_rng(seed).uniform(0.1, 10, len(pairs)))
    expected = reference.bpr(known.tolist(), unknown.tolist(), weights.tolist())
    assert bpr(known, unknown, weights).item() == pytest.approx(expected, rel=1e-9)


def test_a_hopeless_pair_keeps_the_loss_finite():
    assert bpr(torch.tensor([-1e4]), torch.tensor([1e4])).item() == pytest.approx(2e4)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 6), st.integers(2, 9), st.data())
def test_every_unknown_item_and_no_known_one_is_drawn(num_users, num_items, data):
    pairs = data.draw(st.sets(st.tuples(st.integers(0, num_users - 1), st.integers(0, num_items - 1)), min_size=1))
    user, item = torch.tensor(sorted(pairs), dtype=torch.int32).T.contiguous()
    unknown = Unknown.of(user, item, num_users, num_items)
    expected = [reference.unknown_items(u, pairs, num_items) for u in range(num_users)]
    assert unknown.count().tolist() == [len(items) for items in expected]
    able = torch.tensor([u for u in range(num_users) if expected[u]], dtype=torch.int64)
    drawn = unknown.sample(able.repeat_interleave(300), torch.Generator().manual_seed(0)).view(len(able), 300)
    for row, u in enumerate(able.tolist()):
        assert sorted(set(drawn[row].tolist())) == expected[u]


def test_draws_are_uniform():
    user, item = torch.tensor([0, 0, 0]), torch.tensor([1, 2, 6])
    unknown = Unknown.of(user, item, 1, 8)
    drawn = unknown.sample(torch.zeros(50_000, dtype=torch.int64), torch.Generator().manual_seed(0))
    counts = np.bincount(drawn.numpy(), minlength=8)
    assert counts[[1, 2, 6]].sum() == 0
    np.testing.assert_allclose(counts[[0, 3, 4, 5, 7]], 10_000, atol=500)  # over 5 standard deviations
