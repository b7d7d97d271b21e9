"""Settings of serving: named rules, and numbers that must fit one another."""

import pytest

from unisid.errors import ConfigError
from unisid.serving.settings import Serving


def test_partitions_are_rules_by_name():
    found = Serving(partitions=("cheap=price < 20", " shop-7 = retailer == 7 and a == 'x=y'"))
    assert found.named_rules() == {"cheap": "price < 20", "shop-7": "retailer == 7 and a == 'x=y'"}
    assert Serving().named_rules() == {}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"partitions": ("cheap",)}, "serving.partitions: 'cheap'; must be NAME=RULE, such as 'cheap=price < 20'"),
        ({"partitions": ("=price < 20",)}, "must be NAME=RULE"),
        ({"partitions": ("cheap= ",)}, "must be NAME=RULE"),
        ({"partitions": ("a=x", " a =y")}, "serving.partitions: 'a' is there twice; must have a name of its own"),
        ({"canary": 0.1}, "serving.canary: is 0.1 and serving.guard_rows 0; must have a guard"),
        ({"batch_size": 64, "most_waiting": 63}, "serving.batch_size: is 64; must be at most serving.most_waiting, 63"),
        ({"port": 65536}, "port"),
        ({"new_share": 1.0}, "new_share"),
        ({"beams": (50, 0)}, "beams"),
    ],
)
def test_settings_that_cannot_hold_are_refused(settings, why):
    with pytest.raises(ConfigError, match=why):
        Serving(**settings)
