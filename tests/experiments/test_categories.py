"""The shop's own kinds of items, from the column that has them."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from unisid.artifacts.tables import write_table
from unisid.experiments.categories import UNKNOWN, categories_of


def kept(place, **columns):
    """A catalogue whose items have these columns, over two files."""
    table = pa.table({"item_id": [str(n) for n in range(4)], **columns})
    write_table(place, "items", 0, table.slice(0, 3))
    write_table(place, "items", 1, table.slice(3))
    return SimpleNamespace(place=place)


def test_each_text_is_a_kind_and_a_missing_one_too(place):
    found = categories_of(kept(place, category=["toys", " toys", None, "books"]), np.arange(4))
    assert found.column == "category"
    assert [found.names[label] for label in found.labels] == ["toys", "toys", UNKNOWN, "books"]


def test_rows_are_those_that_are_asked_for(place):
    found = categories_of(kept(place, genres=["a", "b", "c", "d"]), np.array([3, 1]))
    assert [found.names[label] for label in found.labels] == ["d", "b"]


def test_the_first_column_that_distinguishes_kinds_is_read(place):
    found = categories_of(kept(place, categories=["all"] * 4, **{"class": [1, 1, 2, 2]}), np.arange(4))
    assert (found.column, found.names) == ("class", ["1", "2"])


@pytest.mark.parametrize("columns", [{}, {"title": ["a", "b", "c", "d"]}, {"category": [None] * 4}])
def test_without_such_a_column_there_are_none(place, columns):
    assert categories_of(kept(place, **columns), np.arange(4)) is None
