import math

import pytest
import torch
from torch.nn import functional

from tests.baselines.reading import order_matters, reads_forward
from unisid.baselines.hstu import Config, Hstu, Layer
from unisid.config import ConfigError

SMALL = {"width": 8, "num_heads": 2, "dropout": 0.0}


def silu(value):
    return value / (1 + math.exp(-value))


def layer_slowly(layer, states, max_length):
    """The formula for one row, pair of places by pair of places."""
    width, size = states.shape[1], states.shape[1] // layer.num_heads
    joint = functional.silu(layer.joint(layer.norm(states))).detach()
    gate, value, query, key = (joint[:, n * width : (n + 1) * width] for n in range(4))
    gathered = torch.zeros_like(states)
    for at in range(len(states)):
        for head in range(layer.num_heads):
            own = slice(head * size, (head + 1) * size)
            for other in range(at + 1):
                score = float(query[at, own] @ key[other, own]) / math.sqrt(size)
                score += float(layer.distance[head, at - other].detach())
                gathered[at, own] += silu(score) / max_length * value[other, own]
    return states + layer.out(layer.inner_norm(gathered) * gate)


def test_a_layer_equals_its_formula():
    torch.manual_seed(0)
    layer = Layer(Config(**SMALL), max_length=6)
    torch.nn.init.normal_(layer.distance)
    states = torch.randn(3, 5, 8)
    for row, found in zip(states, layer(states), strict=True):
        torch.testing.assert_close(found, layer_slowly(layer, row, 6), atol=1e-5, rtol=1e-4)


def test_it_reads_forward_and_in_order():
    torch.manual_seed(0)
    model = Hstu(Config(**SMALL), num_items=15, max_length=5)
    reads_forward(model.states)
    order_matters(model.states)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"width": 9}, "hstu: width 9 over 2 heads; must divide evenly"), ({"dropout": 1.0}, "hstu.dropout: is 1.0")],
)
def test_refuses_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        Config(**settings)
