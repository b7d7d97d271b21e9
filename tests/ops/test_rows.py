"""How near rows lie to one another, beside every pair."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unisid.ops.rows import cosine_by_level, mean_cosine


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 99))
def test_the_mean_is_over_all_pairs(number, width, seed):
    rows = torch.from_numpy(np.random.default_rng(seed).normal(size=(number, width)))
    units = rows / rows.norm(dim=1, keepdim=True)
    pairs = [float(units[a] @ units[b]) for a in range(number) for b in range(number) if a != b]
    assert mean_cosine(rows) == pytest.approx(np.mean(pairs), abs=1e-9)


def test_levels_have_a_figure_each():
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0], [1.0, 1.0], [3.0, 0.0]])
    assert cosine_by_level(rows, (2, 2, 1)) == {"a": 0.0, "b": 1.0, "c": 1.0}
