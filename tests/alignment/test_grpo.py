"""Group-relative policy optimisation: a group by hand, what no hit leaves, credit, and settings that say nothing."""

import pytest
import torch

from tests.alignment.test_contract import INDEX, TARGETS, answered, backbone, beams, losses  # noqa: F401, a fixture
from unisid.alignment import Answered, grpo
from unisid.errors import ConfigError


def test_four_answers_by_hand():
    """The target second of four: rewards -.3904 0 .. from the shares 1, .6309, .5, .4307 of 2.5616."""
    objective = grpo.Config(beta=0.0)
    answers = torch.tensor([[3, 10, 5, 6], [3, 4, 5, 6], [3, 4, 5, 6]])
    group, shown = objective.group(answered(answers))
    rewards = torch.tensor([-1 / 2.5616, 1.0, -0.5 / 2.5616, -0.43068 / 2.5616])
    expected = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
    assert torch.allclose(group.credit[0, :, 0], expected, atol=1e-3)
    assert (group.credit[1:] == 0).all()
    assert group.useful.tolist() == [True, False, False]
    assert float(shown["hit_groups"]) == pytest.approx(1 / 3)
    assert float(shown["signal"]) == pytest.approx(1 / 3)


def test_an_answer_is_scored_as_an_item_and_not_by_how_it_is_spelled():
    """Another item with the target's codes up to the last is no hit; ids are unique, so that no item shares one."""
    codes = INDEX.codes.tolist()
    pairs = [(a, b) for a in range(24) for b in range(24) if a != b and codes[a][:2] == codes[b][:2]]
    target, near = pairs[0]
    group = Answered(torch.tensor([[near, target]]), torch.tensor([target]), INDEX.codes)
    assert group.hits.tolist() == [[False, True]]
    found, _ = grpo.Config(rank=0.0).group(group)
    assert found.credit[0, 0, 0] < 0 < found.credit[0, 1, 0]
    assert len({tuple(code) for code in codes}) == len(codes)


def test_without_a_hit_only_the_divergence_acts(backbone):  # noqa: F811
    objective = grpo.Config()
    found, _ = losses(objective, backbone, beams(backbone, hit=False))
    assert found.abs().max() == 0
    found.mean().backward()
    assert all(weight.grad is None or weight.grad.abs().max() == 0 for weight in backbone.parameters())


def test_prefix_rewards_give_groups_without_a_hit_a_signal():
    wrong = torch.arange(24).expand(3, -1)[:, :9]
    plain, _ = grpo.Config(beta=0.0).group(answered(wrong))
    dense, _ = grpo.Config(beta=0.0, prefix=0.1).group(answered(wrong))
    assert not plain.useful.any()
    assert dense.useful.any()
    for row, target in enumerate(TARGETS.tolist()):
        same = answered(wrong).codes[wrong[row].long(), 0] == answered(wrong).codes[target, 0]
        assert bool(same.any()) == bool(dense.useful[row])


@pytest.mark.parametrize("credit", ["sibling", "first_difference"])
def test_credit_of_tokens_is_blended_in(credit):
    answers = torch.arange(24).expand(3, -1)
    none, _ = grpo.Config(credit=credit, credit_share=0.0).group(answered(answers))
    plain, _ = grpo.Config().group(answered(answers))
    half, _ = grpo.Config(credit=credit).group(answered(answers))
    whole, _ = grpo.Config(credit=credit, credit_share=1.0).group(answered(answers))
    assert torch.allclose(none.credit, plain.credit)
    assert torch.allclose(half.credit, (plain.credit + whole.credit) / 2, atol=1e-5)
    assert not torch.allclose(whole.credit, plain.credit)


def test_the_bonus_is_added():
    answers = torch.arange(24).expand(3, -1)
    plain, more = (grpo.Config(bonus=bonus).group(answered(answers))[0].credit for bonus in (0.0, 1.0))
    assert (more[0, 10] > plain[0, 10]).all()
    assert float((more - plain)[0, :, 0].sum()) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rule": 0.0}, "rule and prefix are 0, so no answer is worth more than another"),
        ({"kl_clip": 0.0}, "grpo.kl_clip: is 0, which leaves nothing"),
    ],
)
def test_settings_that_say_nothing_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        grpo.Config(**given)


def test_depths_must_be_as_many_as_levels():
    objective = grpo.Config(prefix=0.1, prefix_by_depth=(0.5, 1.0))
    objective.check(2)
    with pytest.raises(ConfigError, match="prefix_by_depth: has 2 values, semantic ids have 3 levels"):
        objective.check(3)


def test_the_reference_is_read_for_the_penalty_or_the_monitor():
    assert grpo.Config().needs_reference
    assert grpo.Config(beta=0.0, monitor=True).needs_reference
    assert not grpo.Config(beta=0.0).needs_reference
