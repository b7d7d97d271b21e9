"""Rates of every stage: on GPUs and on two cores, shared out over devices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisid.capacity import SEARCHES, Shop, estimate, rates
from unisid.capacity.calibrate import UNITS
from unisid.capacity.laws import number_bits
from unisid.capacity.machines import MACHINES
from unisid.pipeline import NOUNS


@given(st.floats(1e3, 1e9), st.integers(1, 256))
def test_work_is_shared_out_and_grows_in_proportion(items, devices):
    one, many = (estimate(Shop(items=items), rates.h100(), n, 192) for n in (1, devices))
    twice = estimate(Shop(items=2 * items, test_users=2e5), rates.h100(), 1, 192)
    [group] = [cost.group for cost in rates.h100() if cost.numbers]
    for alone, shared, double in zip(one, many, twice, strict=True):
        assert shared.seconds <= alone.seconds
        assert shared.disk == alone.disk
        more = number_bits(2 * items, group) / number_bits(items, group) if double.noun == "sequences" else 1
        assert double.disk == pytest.approx(2 * more * alone.disk)
        most = 2.001**1.5 if double.noun in SEARCHES else 2.001
        assert alone.seconds <= double.seconds <= most * alone.seconds


def test_every_noun_of_a_plain_recipe_has_a_cost():
    optional = {"joint", "keywords", "instructions", "baseline"}
    assert [cost.noun for cost in rates.h100()] == list(UNITS) == [noun for noun in NOUNS if noun not in optional]


def test_machines_of_two_cores_have_rates_of_their_own():
    fast, slow = rates.h100(), rates.cpu()
    assert [cost.noun for cost in fast] == [cost.noun for cost in slow] == list(UNITS)
    assert all(cost.memory > 0 for cost in [*fast, *slow])
    assert {cost.memory_of for cost in slow} == {"host"}
    assert not any("H100" in cost.source for cost in slow)
    shop = Shop(items=1e6)
    found = zip(UNITS, estimate(shop, fast, 1, 2), estimate(shop, slow, 1, 2), strict=True)
    ratios = {noun: cpu.seconds / gpu.seconds for noun, gpu, cpu in found}
    assert all(ratios[noun] == pytest.approx(1, rel=1e-6) for noun in ("catalog", "sequences", "metrics"))
    assert all(ratios[noun] > 100 for noun in ("embeddings", "graph", "fused", "codes", "model"))
    assert set(rates.RATES) == set(MACHINES)
