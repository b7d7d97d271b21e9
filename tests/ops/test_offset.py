"""An offset that gives some items a share of the probability."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unisid.ops.offset import log_odds, offset_to_share

SHARES = st.floats(1e-4, 1 - 1e-4)


@given(seed=st.integers(0, 99), share=SHARES, scale=st.floats(0.1, 20), samples=st.integers(1, 5))
def test_with_the_offset_some_items_hold_the_share_in_the_mean(seed, share, scale, samples):
    generator = torch.Generator().manual_seed(seed)
    scores = scale * torch.randn(samples, 7, generator=generator)
    some = torch.tensor([True, False, False, True, False, False, False])
    offset = offset_to_share(log_odds(scores, some), share)
    held = (scores.double() + offset * some.double()).softmax(1)[:, some].sum(1).mean()
    assert float(held) == pytest.approx(share, abs=1e-9)


@given(share=SHARES, shift=st.floats(-30, 30))
def test_scores_that_are_lower_by_a_number_get_an_offset_higher_by_it(share, shift):
    odds = torch.tensor([-1.0, 0.5, 3.0])
    assert offset_to_share(odds - shift, share) == pytest.approx(offset_to_share(odds, share) + shift, abs=1e-4)
