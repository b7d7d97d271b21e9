import math

import pytest
import torch
from torch import nn

from unisid.layers.transformer import SPREAD, Block, join_heads, split_heads, start

LATER = torch.ones(5, 5, dtype=torch.bool).triu(1)


def attend_slowly(block, states, hidden):
    """Attention of one row, place by place and head by head."""
    joint = block.joint(states).detach()
    width = states.shape[1]
    size = width // block.num_heads
    found = torch.zeros(len(states), width)
    for at in range(len(states)):
        seen = [other for other in range(len(states)) if not hidden[at, other]]
        for head in range(block.num_heads):
            own = slice(head * size, (head + 1) * size)
            query, keys, values = (joint[:, n * width : (n + 1) * width][:, own] for n in range(3))
            scores = {other: float(query[at] @ keys[other]) / math.sqrt(size) for other in seen}
            total = sum(math.exp(score) for score in scores.values())
            for other, score in scores.items():
                found[at, own] += math.exp(score) / total * values[other]
    return block.out(found)


@pytest.mark.parametrize("hidden", [LATER, torch.tensor([False, False, True, False, True]).expand(5, 5)])
def test_attention_equals_its_twin(hidden):
    block = Block(8, 2, 8, 0.0, True)
    states = torch.randn(3, 5, 8)
    for row, found in zip(states, block.attend(states, hidden), strict=True):
        torch.testing.assert_close(found, attend_slowly(block, row, hidden), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_block_normalises_before_or_after(norm_first):
    block = Block(8, 2, 8, 0.0, norm_first)
    states = torch.randn(2, 5, 8)
    first, second = block.norms
    if norm_first:
        middle = states + block.attend(first(states), LATER)
        expected = middle + block.feedforward(second(middle))
    else:
        middle = first(states + block.attend(states, LATER))
        expected = second(middle + block.feedforward(middle))
    torch.testing.assert_close(block(states, LATER), expected)


def test_it_drops_while_it_learns_only():
    block = Block(8, 2, 8, 0.5, True)
    states = torch.randn(2, 5, 8)
    assert not torch.equal(block(states, LATER), block(states, LATER))
    block.eval()
    assert torch.equal(block(states, LATER), block(states, LATER))


def test_heads_are_split_and_joined_again():
    joint = torch.randn(2, 3, 24)
    parts = split_heads(joint, 3, 4)
    assert [part.shape for part in parts] == [(2, 4, 3, 2)] * 3
    assert torch.equal(torch.cat([join_heads(part) for part in parts], -1), joint)


def test_norms_start_as_they_are_and_the_rest_narrow():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(100, 100), nn.LayerNorm(100))
    start(model)
    assert model[0].weight.std().item() == pytest.approx(SPREAD, rel=0.1)
    assert not model[0].bias.any()
    assert (model[1].weight == 1).all()
