"""Balanced assignment against its twin, and its limits."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import sinkhorn as twin
from unisid.ops.sinkhorn import balanced_codes, transport_plan


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 6), st.floats(0.05, 2.0), st.integers(1, 8), st.integers(0, 99))
def test_plan_is_its_twin(rows, codes, epsilon, iterations, seed):
    distances = torch.from_numpy(np.random.default_rng(seed).random((rows, codes)))
    expected = twin.transport_plan(distances.numpy(), epsilon, iterations)
    np.testing.assert_allclose(transport_plan(distances, epsilon, iterations), expected, rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 30), st.integers(2, 8), st.integers(0, 99))
def test_plan_becomes_doubly_stochastic(rows, codes, seed):
    distances = torch.from_numpy(np.random.default_rng(seed).random((rows, codes)))
    plan = transport_plan(distances, 0.3, 500)
    torch.testing.assert_close(plan.sum(1), torch.full((rows,), 1 / rows, dtype=plan.dtype))
    torch.testing.assert_close(plan.sum(0), torch.full((codes,), 1 / codes, dtype=plan.dtype), atol=1e-6, rtol=0)


def test_small_epsilon_neither_overflows_nor_loses_rows():
    distances = torch.rand(512, 16, generator=torch.Generator().manual_seed(0)) * 1e4
    plan = transport_plan(distances, 0.003)
    assert plan.isfinite().all()
    torch.testing.assert_close(plan.sum(1), torch.full((512,), 1 / 512))


def test_codes_are_shared_out_evenly_where_the_nearest_would_be_one():
    generator = torch.Generator().manual_seed(1)
    distances = torch.rand(64, 4, generator=generator)
    distances[:, 0] -= 10  # the nearest of all
    assert (distances.argmin(1) == 0).all()
    counts = torch.bincount(balanced_codes(distances, 0.003, 300), minlength=4)
    assert counts.max() - counts.min() <= 4
    # A rare wish stays a wish: the far codes go to those who lose least by it.
    assert counts.sum() == 64


def test_equal_distances_are_no_trouble():
    plan = transport_plan(torch.ones(6, 3), 0.003)
    torch.testing.assert_close(plan, torch.full((6, 3), 1 / 18))
