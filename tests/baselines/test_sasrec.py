import math

import pytest
import torch

from tests.baselines.catalogs import random_baskets, write_catalog
from unisid.baselines.learned import PAD, Windows
from unisid.baselines.sasrec import Block, Config, SasRec
from unisid.config import ConfigError

SMALL = {"width": 8, "num_heads": 2, "feedforward_width": 8, "dropout": 0.0}


def build(**changes):
    torch.manual_seed(0)
    return SasRec(Config(**{**SMALL, **changes}), num_items=15, max_length=5)


def attend_slowly(block, states):
    """Attention of one row, position by position and head by head."""
    joint = block.joint(states).detach()
    width = states.shape[1]
    size = width // block.num_heads
    found = torch.zeros(len(states), width)
    for at in range(len(states)):
        for head in range(block.num_heads):
            own = slice(head * size, (head + 1) * size)
            query, keys, values = (joint[:, n * width : (n + 1) * width][:, own] for n in range(3))
            scores = [float(query[at] @ keys[other]) / math.sqrt(size) for other in range(at + 1)]
            total = sum(math.exp(s) for s in scores)
            for other, score in enumerate(scores):
                found[at, own] += math.exp(score) / total * values[other]
    return block.out(found)


def test_attention_equals_its_twin():
    block = Block(Config(**SMALL))
    states = torch.randn(3, 5, 8)
    for row, found in zip(states, block.attend(states), strict=True):
        torch.testing.assert_close(found, attend_slowly(block, row), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_block_normalises_before_or_after(norm_first):
    block = Block(Config(**SMALL, norm_first=norm_first))
    states = torch.randn(2, 4, 8)
    first, second = block.norms
    if norm_first:
        middle = states + block.attend(first(states))
        expected = middle + block.feedforward(second(middle))
    else:
        middle = first(states + block.attend(states))
        expected = second(middle + block.feedforward(middle))
    torch.testing.assert_close(block(states), expected)


def test_later_items_and_padding_change_nothing():
    model = build()
    items = torch.randint(0, 15, (4, 5))
    users = torch.zeros(4, dtype=torch.long)
    whole = model.states(items, users)
    for length in range(1, 5):
        torch.testing.assert_close(model.states(items[:, :length], users), whole[:, :length])
        padded = torch.where(torch.arange(5) < length, items, PAD)
        torch.testing.assert_close(model.states(padded, users)[:, :length], whole[:, :length])


def test_order_matters():
    model = build()
    users = torch.zeros(1, dtype=torch.long)
    one, other = (model.states(torch.tensor([items]), users)[0, -1] for items in ([1, 2, 3], [2, 1, 3]))
    assert (one - other).abs().max() > 1e-4


@pytest.mark.parametrize("loss", ["ce", "bce", "sampled"])
def test_every_loss_goes_down_on_what_it_is_shown(loss):
    model = build(loss=loss, num_negatives=8)
    windows = Windows(torch.tensor([[1, 2, 3, 4, PAD], [5, 6, 7, 8, 9]]), torch.tensor([0, 1]), seed=3)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        found = model.loss(windows)
        found.backward()
        optimizer.step()
        losses.append(found.item())
    assert model.count(windows) == 7
    assert losses[-1] < losses[0] / 2


def test_the_first_loss_is_that_of_knowing_nothing():
    model = build()
    windows = Windows(torch.tensor([[1, 2, 3, 4, PAD], [5, 6, 7, 8, 9]]), torch.tensor([0, 1]))
    assert model.loss(windows).item() / model.count(windows) == pytest.approx(math.log(15), rel=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 9}, "width 9 over 2 heads; must divide evenly"),
        ({"num_layers": 0}, "num_layers 0, .* must all be positive"),
        ({"dropout": 1.0}, "sasrec.dropout: is 1.0; must be at least 0 and below 1"),
    ],
)
def test_refuses_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        Config(**settings)


def test_refuses_bce_where_a_window_may_hold_every_item(place):
    catalog = write_catalog(place, random_baskets(5, 12, seed=0), num_items=12, history_length=11)
    with pytest.raises(ConfigError, match="bce needs an item that a window of 12 does not hold, of 12; choose ce"):
        Config(loss="bce").build(catalog)
