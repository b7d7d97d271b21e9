"""Rewards of answers, beside their plain form and by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.references import align as reference
from unisid.ops.rewards import matched_levels, prefix_reward, rank_reward, rule_reward

ANSWERS = st.lists(st.integers(0, 30), min_size=2, max_size=9, unique=True)


@given(ANSWERS, st.integers(0, 30))
def test_rank_rewards_are_the_plain_ones(answers, target):
    found = rank_reward(torch.tensor([answers]), torch.tensor([target]))[0]
    assert found.tolist() == pytest.approx(reference.rank_rewards(answers, target), abs=1e-6)


def test_the_shares_of_the_wrong_ranks_and_of_the_target_s_own_add_up_to_one():
    answers = torch.arange(16)[None]
    gains = 1 / torch.arange(2, 18).float().log2()
    for target in (0, 3, 15):
        found = rank_reward(answers, torch.tensor([target]))[0]
        assert float(-found.sum() + gains[target] / gains.sum()) == pytest.approx(1, abs=1e-6)
        assert found[target] == 0
    assert rank_reward(answers, torch.tensor([99])).abs().max() == 0


def test_of_sixteen_the_first_ranks_weigh_as_published():
    """MiniOneRec's weights, from its released code: .164 .103 .082 .070 .063 ... .040."""
    found = -rank_reward(torch.arange(16)[None], torch.tensor([4]))[0]
    assert found[[0, 1, 2, 3, 15]].tolist() == pytest.approx([0.164, 0.103, 0.082, 0.070, 0.040], abs=6e-4)


@given(st.lists(st.integers(0, 2), min_size=3, max_size=3), st.lists(st.integers(0, 2), min_size=3, max_size=3))
def test_depth_is_of_leading_codes_alone(codes, target):
    found = matched_levels(torch.tensor([[codes]]), torch.tensor([target]))
    assert found.item() == reference.depth(codes, target)


def test_prefix_reward_grows_with_depth_and_is_whole_for_the_item_alone():
    target = torch.tensor([[1, 2, 3]])
    answers = torch.tensor([[[0, 2, 3], [1, 0, 3], [1, 2, 0], [1, 2, 3]]])
    found = prefix_reward(answers, target, torch.tensor([0.2, 0.5, 1.0]))
    assert torch.allclose(found, torch.tensor([[0.0, 0.2, 0.5, 1.0]]))


def test_the_rule_is_the_item():
    assert rule_reward(torch.tensor([[4, 2, -1]]), torch.tensor([2])).tolist() == [[0.0, 1.0, 0.0]]
