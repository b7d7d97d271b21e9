import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.references.embeddings import pool as pool_by_hand
from unisid.ops.pooling import FREE_SHARE, MAX_PADDING, batches_by_length, pool


@given(st.lists(st.integers(1, 64), max_size=300), st.integers(1, 4096))
def test_batches_hold_every_row_once_and_keep_to_the_budget(lengths, batch_tokens):
    lengths = np.array(lengths, np.int64)
    batches = batches_by_length(lengths, batch_tokens)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    longest = [lengths[batch].max() for batch in batches]
    assert longest == sorted(longest, reverse=True)
    for batch in batches:
        slots = len(batch) * lengths[batch].max()
        assert slots <= batch_tokens or len(batch) == 1
        padding = slots - lengths[batch].sum()
        assert padding <= MAX_PADDING * slots or slots <= batch_tokens // FREE_SHARE + lengths[batch].max()


def test_padding_of_a_usual_shard_is_small():
    lengths = np.random.default_rng(0).integers(1, 65, 4096)
    slots = sum(len(b) * lengths[b].max() for b in batches_by_length(lengths, 65536))
    assert 1 - lengths.sum() / slots < 0.05


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_pooling_is_that_of_the_real_tokens_alone(pooling):
    torch.manual_seed(0)
    states, lengths = torch.randn(5, 7, 3), torch.tensor([7, 1, 3, 6, 2])
    expected = pool_by_hand([text[:n] for text, n in zip(states, lengths, strict=True)], pooling)
    for row, n in enumerate(lengths):
        states[row, n:] = torch.nan  # padding may hold anything
    torch.testing.assert_close(pool(states, lengths, pooling), expected)


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_without_lengths_every_token_is_real(pooling):
    torch.manual_seed(0)
    states = torch.randn(4, 5, 3)
    torch.testing.assert_close(pool(states, None, pooling), pool(states, torch.full((4,), 5), pooling))


def test_half_precision_states_are_added_up_in_float32():
    states = torch.full((1, 4096, 1), 1.001, dtype=torch.bfloat16)
    assert pool(states, torch.tensor([4096]), "mean").item() == pytest.approx(states[0, 0, 0].item(), rel=1e-5)
