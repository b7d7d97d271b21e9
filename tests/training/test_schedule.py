"""Schedules: where they rise, peak and end."""

import math

import pytest

from unisid.training.schedule import SCHEDULES

PEAK, TOTAL = 10, 110


@pytest.mark.parametrize("kind", sorted(SCHEDULES))
def test_each_rises_evenly_to_its_peak_at_the_end_of_the_warm_up(kind):
    rates = [SCHEDULES[kind](step, PEAK, TOTAL) for step in range(TOTAL)]
    assert rates[:PEAK] == pytest.approx([(step + 1) / PEAK for step in range(PEAK)])
    assert max(rates) == rates[PEAK - 1] == 1.0
    assert min(rates) > 0


@pytest.mark.parametrize("kind", sorted(SCHEDULES))
def test_without_a_warm_up_the_first_step_is_at_the_peak(kind):
    assert SCHEDULES[kind](0, 0, TOTAL) == 1.0


def test_after_the_peak():
    cosine, root = SCHEDULES["cosine"], SCHEDULES["inverse_square_root"]
    assert cosine(PEAK + 50, PEAK, TOTAL) == pytest.approx(0.5)  # half of the way down
    assert cosine(PEAK + 25, PEAK, TOTAL) == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert cosine(TOTAL, PEAK, TOTAL) == cosine(TOTAL + 7, PEAK, TOTAL) == pytest.approx(0.0)
    assert root(4 * PEAK - 1, PEAK, TOTAL) == pytest.approx(0.5)
    assert SCHEDULES["constant"](TOTAL, PEAK, TOTAL) == 1.0
