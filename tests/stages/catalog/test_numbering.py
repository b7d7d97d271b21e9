"""Numbers and orders depend on the set of rows, not on how it was given."""

import numpy as np
import pyarrow as pa
import pytest

from unisid.stages.catalog.numbering import Ties, numbers, seeded_order, time_order

IDS = [f"item {n}" for n in range(40)]


@pytest.mark.parametrize("seed", [0, 7])
def test_an_order_is_of_the_ids_and_not_of_their_rows(seed):
    shuffled = list(np.random.default_rng(1).permutation(IDS))
    kept = np.array([not name.endswith("3") for name in IDS])
    first = seeded_order(pa.array(IDS), kept, seed)
    second = seeded_order(pa.array(shuffled), np.array([not name.endswith("3") for name in shuffled]), seed)
    assert [IDS[row] for row in first] == [shuffled[row] for row in second]
    assert sorted(first) == np.flatnonzero(kept).tolist()
    assert list(first) != sorted(first)


def test_other_seeds_are_other_orders():
    everything = np.ones(len(IDS), bool)
    assert list(seeded_order(pa.array(IDS), everything, 1)) != list(seeded_order(pa.array(IDS), everything, 2))


def test_numbers_are_the_inverse_of_an_order():
    order = np.array([7, 2, 9, 4])
    assert numbers(order)[order].tolist() == [0, 1, 2, 3]


def test_rows_are_by_user_and_time_and_equal_times_as_the_rule_says():
    user, time = np.array([1, 0, 1, 0, 1]), np.array([5, 2, 3, 1, 5])
    item = np.array([0, 1, 2, 3, 4])
    users, items = pa.array(["a", "b"]), pa.array(IDS[:5])
    given = time_order(user, item, time, None)
    assert given.tolist() == [3, 1, 2, 0, 4]
    ties = {tuple(time_order(user, item, time, Ties.of(users, items, seed)).tolist()) for seed in range(20)}
    assert ties == {(3, 1, 2, 0, 4), (3, 1, 2, 4, 0)}
    turned = time_order(user[::-1], item[::-1], time[::-1], Ties.of(users, items, 3))
    straight = time_order(user, item, time, Ties.of(users, items, 3))
    assert item[::-1][turned].tolist() == item[straight].tolist()
