"""From rewards to credit: beside the plain form, and the laws that it keeps."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.references import align as reference
from unisid.ops.credit import first_difference, pass_bonus, sibling_credit, standardised

REWARDS = st.lists(st.sampled_from([0.0, 1.0, -0.25, 0.5]), min_size=4, max_size=8)
CODE = st.tuples(*[st.integers(0, 2)] * 3)


@given(REWARDS)
def test_advantages_are_the_plain_ones_and_add_up_to_nothing(rewards):
    found = standardised(torch.tensor([rewards]), torch.ones(1, len(rewards), dtype=torch.bool))[0]
    assert found.tolist() == pytest.approx(reference.standardised(rewards), abs=1e-4)
    assert abs(float(found.sum())) < 1e-4
    if len(set(rewards)) == 1:
        assert found.abs().max() == 0


def test_one_hit_of_sixteen():
    """(G - 1) / sqrt(G) for it, -1 / sqrt(G) for the others, up to the epsilon; the published 3.75 and -.25."""
    rewards = torch.zeros(1, 16)
    rewards[0, 3] = 1
    found = standardised(rewards, torch.ones(1, 16, dtype=torch.bool))[0]
    assert float(found[3]) == pytest.approx(15 / math.sqrt(16), abs=2e-3)
    assert float(found[0]) == pytest.approx(-1 / math.sqrt(16), abs=2e-4)


@given(REWARDS, st.integers(0, 3))
def test_what_fills_a_short_group_changes_nothing(rewards, filling):
    real = torch.tensor([[True] * len(rewards) + [False] * filling])
    wide = torch.tensor([rewards + [9.0] * filling])
    found = standardised(wide, real)[0]
    assert found[: len(rewards)].tolist() == pytest.approx(reference.standardised(rewards), abs=1e-4)
    assert (found[len(rewards) :] == 0).all()


@given(st.lists(st.tuples(CODE, st.sampled_from([0.0, 1.0, 0.25])), min_size=2, max_size=7, unique_by=lambda e: e[0]))
def test_sibling_credit_is_the_plain_one(answers):
    codes, rewards = [list(code) for code, _ in answers], [reward for _, reward in answers]
    real = torch.ones(1, len(answers), dtype=torch.bool)
    found = sibling_credit(torch.tensor([rewards]), torch.tensor([codes]), real)[0]
    expected = torch.tensor(reference.siblings(rewards, codes))
    assert torch.allclose(found, expected, atol=1e-3)
    for level in range(3):  # adds up to 0 over the tokens after a prefix, each counted once
        by_prefix: dict = {}
        for code, value in zip(codes, found[:, level].tolist(), strict=True):
            by_prefix.setdefault(tuple(code[:level]), {})[code[level]] = value
        assert all(abs(sum(each.values())) < 1e-3 for each in by_prefix.values())


def test_a_missing_answer_is_no_sibling():
    codes = torch.tensor([[[0, 0], [0, 1], [1, 0], [0, 2]]])
    rewards, real = torch.tensor([[1.0, 0.0, 0.0, 5.0]]), torch.tensor([[True, True, True, False]])
    whole = sibling_credit(rewards, codes, real)[0]
    assert torch.equal(whole[:3], sibling_credit(rewards[:, :3], codes[:, :3], real[:, :3])[0])
    assert (whole[3] == 0).all()


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([9, 2, 3], [-1, 0, 0]), ([1, 9, 3], [1, -1, 0]), ([1, 2, 9], [1, 1, -1]), ([1, 2, 3], [1, 1, 1])],
)
def test_first_difference_by_hand(codes, expected):
    assert first_difference(torch.tensor([[codes]]), torch.tensor([[1, 2, 3]]))[0, 0].tolist() == expected
    assert reference.first_difference(codes, [1, 2, 3]) == expected


@given(st.integers(5, 9), st.integers(0, 9))
def test_the_bonus_is_that_of_all_ways_to_draw(number, right):
    hits = [i < min(right, number) for i in range(number)]
    found = pass_bonus(torch.tensor([hits]), 4)[0].tolist()
    assert sum(found) == pytest.approx(0, abs=1e-4)
    if any(hits) and number - sum(hits) >= 4:
        assert found == pytest.approx(reference.pass_bonus(hits, 4), abs=1e-4)
    else:
        assert found == [0.0] * number


def test_the_bonus_as_published():
    """GREAM, ten answers and one right: +1.225 and -.136."""
    found = pass_bonus(torch.tensor([[True] + [False] * 9]), 4)[0]
    assert [round(float(each), 3) for each in found[:2]] == [1.225, -0.136]
