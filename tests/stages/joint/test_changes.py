"""What became of the ids, counted."""

import numpy as np
import pytest

from unisid.stages.joint.changes import changes


def test_items_are_counted_by_level_and_by_number_of_levels():
    """The level that counts the items of a tuple is no part of it."""
    before = np.array([[0, 1, 0], [2, 3, 0], [2, 3, 1], [1, 1, 0]])
    after = np.array([[0, 1, 5], [2, 0, 0], [1, 0, 0], [1, 1, 0]])
    found = changes(before, after, 2)
    assert found["changed_share"] == pytest.approx(0.5)
    assert found["changed_first_level"] == pytest.approx(0.25)
    assert found["by_level"] == pytest.approx([0.25, 0.5])
    assert found["by_number"] == pytest.approx([0.5, 0.25, 0.25])


def test_no_items_change_nothing():
    empty = np.empty((0, 2), np.int32)
    assert changes(empty, empty, 2)["changed_share"] == 0
