import math

import pytest
import torch

from tests.baselines.catalogs import random_baskets, write_catalog
from tests.baselines.reading import order_matters, reads_forward
from unisid.baselines.parts.learned import PAD, Windows
from unisid.baselines.sasrec import Config, SasRec
from unisid.config import ConfigError

SMALL = {"width": 8, "num_heads": 2, "feedforward_width": 8, "dropout": 0.0}


def build(**changes):
    torch.manual_seed(0)
    return SasRec(Config(**{**SMALL, **changes}), num_items=15, max_length=5)


def test_it_reads_forward_and_in_order():
    reads_forward(build().states)
    order_matters(build().states)


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
        ({"num_layers": 0}, "sasrec.num_layers: is 0; must be at least 1"),
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
