"""How near the next item is, against a slow twin and planted neighbourhoods."""

import numpy as np
import pytest

from unisid.artifacts.catalog import TEST, TRAIN, VALID
from unisid.evaluation import next_items
from unisid.evaluation.next_items import by_cosine, by_prefix, held_out_steps, share_found

random = np.random.default_rng(0)


class Rows:
    """A catalogue of five items and two users, as `held_out_steps` reads it."""

    num_items = 5
    item = np.array([0, 1, 2, 3, 4, 4, 1])
    split = np.array([TRAIN, TRAIN, VALID, TEST, TRAIN, VALID, VALID])

    def samples(self, split: int):
        return np.flatnonzero(self.split == split)


def found_by_draws(steps, closeness, places, draws=400) -> float:
    """Ties in random order."""
    hits = []
    for before, target in steps:
        close = closeness(np.array([before]))[0].copy()
        close[before] = -np.inf
        orders = (np.lexsort((random.random(len(close)), -close)) for _ in range(draws))
        hits.append(np.mean([target in order[:places] for order in orders]))
    return float(np.mean(hits))


def test_a_step_goes_from_the_item_before_a_validation_target_to_it():
    """1 -> 2 of the first user and 4 -> 1 of the second; 4 -> 4 goes nowhere."""
    assert held_out_steps(Rows(), np.arange(5)).tolist() == [[1, 2], [4, 1]]
    assert held_out_steps(Rows(), np.array([1, 4])).tolist() == [[1, 0]]  # as positions in the rows


def test_of_many_steps_some_are_drawn():
    assert held_out_steps(Rows(), np.arange(5), most=1).tolist() in ([[1, 2]], [[4, 1]])


@pytest.mark.parametrize("places", [1, 4, 9])
def test_the_share_found_is_the_mean_over_ties_in_random_order(places, monkeypatch):
    monkeypatch.setattr(next_items, "AT_ONCE", 7)
    codes = random.integers(0, 3, (20, 2)).astype(np.int32)
    steps = np.array([random.permutation(20)[:2] for _ in range(30)])
    told = share_found(steps, by_prefix(codes), places)
    assert told == pytest.approx(found_by_draws(steps, by_prefix(codes), places), abs=0.03)
    vectors = random.normal(size=(20, 5)).astype(np.float32)
    told = share_found(steps, by_cosine(vectors), places)
    assert told == pytest.approx(found_by_draws(steps, by_cosine(vectors), places, draws=1))


def test_all_is_found_where_next_items_are_alike_and_chance_where_nothing_is_known():
    centres = random.normal(size=(10, 8))
    vectors = np.repeat(centres, 4, 0) + 1e-3 * random.normal(size=(40, 8))
    steps = np.array([(4 * group, 4 * group + 1) for group in range(10)])
    assert share_found(steps, by_cosine(vectors.astype(np.float32)), 3) == pytest.approx(1)
    assert share_found(steps, by_cosine(np.zeros((40, 8), np.float32)), 3) == pytest.approx(3 / 39)
    assert np.isnan(share_found(steps[:0], by_cosine(vectors.astype(np.float32)), 3))


def test_prefixes_are_compared_from_the_first_code_on():
    codes = np.array([[1, 2, 3], [1, 2, 4], [1, 0, 3], [0, 2, 3]], np.int32)
    assert by_prefix(codes)(np.array([0])).tolist() == [[3, 2, 1, 0]]
