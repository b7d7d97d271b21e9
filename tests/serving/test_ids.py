"""Ids of a request: text and lists of text, items of the catalogue and what was skipped."""

import numpy as np
import pandas as pd
import pytest

from unisid.errors import DataError
from unisid.serving.ids import ids_of, item_numbers, shown, some, text_of

ITEM_OF = {"a": 0, "b": 1, "7": 2}


def test_a_history_is_numbers_of_known_items_and_a_word_of_the_others():
    numbers, skipped = item_numbers(("b", "gone", 7, "b"), ITEM_OF)
    assert (numbers.tolist(), numbers.dtype) == ([1, 2, 1], np.int64)
    assert skipped == "history: skipped what is not in the catalogue: 'gone'"
    assert item_numbers(np.array(["a"]), ITEM_OF)[1] == ""


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([], "history: is empty; must have at least one item id"),
        (["x", "y", "z", "w"], "history: has no item of the catalogue of 3, only 'x', 'y', 'z' and 1 more; must have"),
        ("a", "history: is 'a'; must be a list of item ids"),
        (None, "history: is missing; must be a list"),
        (float("nan"), "history: is missing; must be a list"),
        (pd.NA, "history: is missing; must be a list"),
    ],
)
def test_what_is_no_history_is_refused(value, why):
    with pytest.raises(DataError, match=why):
        item_numbers(value, ITEM_OF)


def test_text_is_text():
    assert text_of("a", "text") == "a"
    with pytest.raises(DataError, match="text: is 3; must be text"):
        text_of(3, "text")
    assert ids_of([1, "b"], "exclude") == ["1", "b"]


def test_values_and_ids_are_shown_short():
    assert some(["a", "b\n", "c", "d", "e"]).endswith("and 2 more")
    assert "\n" not in some(["b\n"])
    assert len(shown("x" * 999)) == 60
