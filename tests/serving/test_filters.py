"""Masks of items: rules compiled once, partitions by name, and lists of items that are allowed or left out."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisid.errors import ConfigError, DataError
from unisid.serving.columns import Columns
from unisid.serving.filters import Filters, restricted

COLUMNS = Columns(
    {
        "price": pa.array([1, 5, 9, None]),
        "maker": pa.array(["x", None, "y", "x"]),
        "tags": pa.array([["a"], [], ["a"], None]),
    }
)


def filters(**more):
    return Filters(COLUMNS, {"cheap": "price < 6", "x": "maker == 'x'"}, **more)


def test_a_rule_is_compiled_once_and_its_mask_cannot_be_changed():
    found = filters()
    before = found.compiled
    mask = found.rule("price > 4")
    assert (mask.tolist(), found.compiled) == ([False, True, True, False], before + 1)
    assert found.rule("  price > 4 ") is mask
    with pytest.raises(ValueError, match="read-only"):
        mask[0] = True


def test_the_masks_used_last_are_kept():
    found = filters(kept=2 * len(COLUMNS.values["price"]))
    before = found.compiled
    for rule in ("price > 1", "price > 2", "price > 1", "price > 3", "price > 1"):
        found.rule(rule)
    assert found.compiled == before + 3
    found.rule("price > 2")
    assert found.compiled == before + 4, "it made room for another"
    assert len(filters(kept=0)._masks) == 1, "one is kept whatever it takes"


def test_a_rule_and_a_partition_hold_together():
    found = filters()
    assert found.of("", "") is None
    assert found.of("", "cheap").tolist() == [True, True, False, False]
    assert found.of("price > 1", "").tolist() == [False, True, True, False]
    assert found.of("price > 1", "cheap").tolist() == [False, True, False, False]


def test_what_is_not_there_is_named():
    with pytest.raises(DataError, match=r"partition 'cheep': is not one of cheap, x; did you mean 'cheap'\?"):
        filters().partition("cheep")
    with pytest.raises(DataError, match="is not one of none"):
        Filters(COLUMNS).partition("cheap")
    with pytest.raises(ConfigError, match="partition 'p': .*prise"):
        Filters(COLUMNS, {"p": "prise < 6"})
    with pytest.raises(DataError, match=r"quota: no column 'makers'; did you mean 'maker'\?; there are price, maker"):
        filters().categories("makers")
    with pytest.raises(DataError, match="quota: 'tags' is a column of lists; must be one of single values"):
        filters().categories("tags")


def test_a_missing_value_is_a_category_of_its_own():
    numbers, names = filters().categories("maker")
    assert [names[number] for number in numbers] == ["x", None, "y", "x"]


@given(st.sets(st.integers(0, 7)), st.lists(st.booleans(), min_size=8, max_size=8) | st.none())
def test_items_are_taken_from_a_mask_or_are_all_that_is_left_of_it(items, mask):
    held = None if mask is None else np.array(mask)
    before = set(range(8)) if mask is None else {item for item, kept in enumerate(mask) if kept}
    assert set(np.flatnonzero(restricted(held, 8, items, True)).tolist()) == before & items
    assert set(np.flatnonzero(restricted(held, 8, items, False)).tolist()) == before - items
    assert held is None or held.tolist() == mask, "the mask itself stays"
