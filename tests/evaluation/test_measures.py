"""Measures of trials: of the best epoch, of what was reported, and of pairs within and across prefixes."""

import pytest

from unisid.artifacts.curve import write_curve
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Place, Store
from unisid.evaluation import measures


def finished(place: Place, epochs: range) -> Place:
    """A recommender that was best in its second epoch of five, whose curve holds some epochs; 10 steps each."""
    rates = {1: 0.1, 2: 0.5, 3: 0.2, 4: 0.3, 5: 0.4}
    values = [(e, {"epoch": e, "valid_score": rates[e] / 2, "valid_hr_10": rates[e]}) for e in epochs]
    write_curve(place, [(10 * e, name, float(value)) for e, told in values for name, value in told.items()])
    counts = {"valid_ndcg_10": 0.25, "best_epoch": 2}
    write_record(place, Record(address="model/one/1", config={}, inputs={}, counts=counts, files=place.sizes()))
    return place


def test_all_of_a_recommenders_figures_are_of_its_best_epoch(place):
    assert measures.of_model(finished(place, range(1, 6))) == {"ndcg": 0.25, "hr": 0.5}


def test_a_rate_that_a_restart_lost_is_left_out(place):
    assert measures.of_model(finished(place, range(3, 6))) == {"ndcg": 0.25}


def test_the_ndcg_of_a_recommender_that_its_loss_selects_is_no_loss(place):
    told = {1: {"valid_score": 3.5, "valid_ndcg_10": 0.1}, 2: {"valid_score": 3.0, "valid_ndcg_10": 0.2}}
    write_curve(place, [(10 * e, n, v) for e, values in told.items() for n, v in {"epoch": e, **values}.items()])
    assert measures.of_making(Store(place), place, "ndcg") == [(1, 0.1), (2, 0.2)]
    assert measures.MEASURES["ndcg"].of_epoch(told[2]) == 0.2
    assert measures.MEASURES["ndcg"].of_epoch({"valid_score": 0.3}) == 0.3
    assert measures.MEASURES["ndcg"].of_epoch({"loss": 1.0}) is None


def test_without_pairs_in_a_prefix_nothing_is_claimed():
    assert measures.contrast({}) == measures.closeness({}) == 0.0
    assert measures.contrast({"across": 0.1, "within_1": None}) == 0.0
    assert measures.contrast({"across": 0.0, "within_1": 0.0}) == 0.0
    assert measures.contrast({"across": 0.1, "within_1": 0.3}) == pytest.approx(0.5)
    assert measures.closeness({"across": 0.2, "within_1": 0.6}) == pytest.approx(0.5)
