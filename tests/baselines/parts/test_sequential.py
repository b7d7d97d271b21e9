"""What every model of sequences demands of its settings, and in which words."""

import pytest

from tests.baselines.catalogs import random_baskets, write_catalog
from tests.baselines.fitting import KINDS, settings
from unisid.baselines.parts.sequential import SequentialConfig
from unisid.config import ConfigError, plug_in

SEQUENTIAL = [kind for kind in KINDS if issubclass(plug_in("baselines", kind), SequentialConfig)]


def test_models_of_sequences_share_their_settings():
    assert {"bert4rec", "caser", "fdsa", "gru4rec", "hgn", "hstu", "s3rec", "sasrec"} <= set(SEQUENTIAL)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("sasrec", {"num_negatives": 0}, "sasrec.num_negatives: is 0; must be at least 1 and at most 2,147,483,647"),
        ("sasrec", {"num_heads": 3}, "sasrec: width 64 over 3 heads; must divide evenly"),
        ("gru4rec", {"width": 0}, "gru4rec.width: is 0; must be at least 1 and at most 1,048,576"),
        ("caser", {"vertical": 0}, "caser.vertical: is 0; must be at least 1 and at most 1,048,576"),
        ("hstu", {"num_heads": 3}, "hstu: width 64 over 3 heads; must divide evenly"),
        ("hstu", {"num_heads": 0}, "hstu.num_heads: is 0; must be at least 1 and at most 1,024"),
        ("bert4rec", {"num_heads": 3}, "bert4rec: width 64 over 3 heads; must divide evenly"),
        *(
            (kind, {"dropout": rate}, f"{kind}.dropout: is {rate}; must be at least 0 and below 1")
            for kind in ("sasrec", "gru4rec", "caser", "hstu", "bert4rec")
            for rate in (-0.1, 1.0)
        ),
    ],
)
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
