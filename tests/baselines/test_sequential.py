"""What every model of sequences demands of its settings, and in which words."""

import pytest

from tests.baselines.catalogs import random_baskets, write_catalog
from tests.baselines.fitting import KINDS, settings
from unisid.baselines.sequential import SequentialConfig
from unisid.config import ConfigError, plug_in

SEQUENTIAL = [kind for kind in KINDS if issubclass(plug_in("baselines", kind), SequentialConfig)]
POSITIVE = "must all be positive"
HEADS = "must all be positive, and the heads must divide the width"


def test_models_of_sequences_share_their_settings():
    assert {"bert4rec", "caser", "gru4rec", "hstu", "sasrec"} <= set(SEQUENTIAL)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("sasrec", {"num_negatives": 0}, "sasrec: width 64, num_layers 2, num_heads 2, feedforward_width 256, "
                                         f"num_negatives 0: {POSITIVE}"),
        ("sasrec", {"num_heads": 3}, "sasrec: width 64 over 3 heads; must divide evenly"),
        ("gru4rec", {"width": 0}, f"gru4rec: width 0, hidden_width 128, num_layers 1, num_negatives 1024: {POSITIVE}"),
        ("caser", {"vertical": 0}, "caser: width 64, last_items 5, horizontal 16, vertical 0, num_negatives 1024: "
                                   f"{POSITIVE}"),
        ("hstu", {"num_heads": 3}, f"hstu: width 64, num_layers 2, num_heads 3, num_negatives 1024: {HEADS}"),
        ("hstu", {"num_heads": 0}, f"hstu: width 64, num_layers 2, num_heads 0, num_negatives 1024: {HEADS}"),
        ("bert4rec", {"width": 0}, "bert4rec: width 0, num_layers 2, num_heads 2, feedforward_width 256, "
                                   f"num_negatives 1024: {HEADS}"),
        ("bert4rec", {"dropout": 1.0}, "bert4rec: dropout 1.0, gaps 0.3; must be from 0 and above 0, both below 1"),
        *((kind, {"dropout": rate}, f"{kind}.dropout: is {rate}; must be at least 0 and below 1")
          for kind in ("sasrec", "gru4rec", "caser", "hstu") for rate in (-0.1, 1.0)),
    ],
)  # fmt: skip
def test_refuses_settings_in_these_words(kind, changes, message):
    with pytest.raises(ConfigError) as error:
        settings(kind, **changes)
    assert str(error.value) == message


@pytest.mark.parametrize("kind", SEQUENTIAL)
def test_bce_needs_an_item_that_no_window_holds(kind, place):
    catalog = write_catalog(place / "catalog", random_baskets(8, 10, seed=1), num_items=10, history_length=9)
    with pytest.raises(ConfigError) as error:
        settings(kind, loss="bce").build(catalog)
    assert str(error.value) == (f"{kind}.loss: bce needs an item that a window of 10 does not hold, of 10; choose ce")
    settings(kind, loss="ce").build(catalog)
