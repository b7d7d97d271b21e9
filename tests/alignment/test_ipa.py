"""Preferences by a reward model: which answers are compared, and where the loss begins."""

import math

import pytest
import torch

from tests.alignment.test_contract import HISTORIES, INDEX, TARGETS, answered, backbone, beams, losses  # noqa: F401, a fixture
from unisid.alignment import Answered, ipa


def test_the_best_and_the_worst_answer_are_compared(backbone):  # noqa: F811
    """Whatever their order, and whatever fills a short row."""
    answers = torch.cat([beams(backbone, hit=False).flip(1), torch.full((3, 1), -1)], 1)
    group, shown = ipa.Config().group(answered(answers))
    real = answers[:, :-1]
    assert torch.equal(group.items, torch.stack([TARGETS, real.max(1).values, real.min(1).values], 1))
    assert group.real.all()
    assert float(shown["margin"]) == pytest.approx(float((real.max(1).values - real.min(1).values).float().mean()))
    assert float(shown["reward"]) == pytest.approx(float(real.float().mean()))


def test_it_begins_at_log_2_with_the_target_s_own_beside(backbone):  # noqa: F811
    alone, shown = losses(ipa.Config(supervised=0.0), backbone, beams(backbone))
    assert alone.tolist() == pytest.approx([math.log(2)] * 3, abs=1e-5)
    assert float(shown["ahead"]) == 0
    both, _ = losses(ipa.Config(supervised=2.0), backbone, beams(backbone))
    log_p = backbone.log_probs(HISTORIES, TARGETS, INDEX).mean(1)
    assert torch.allclose(both, alone - 2 * log_p, atol=1e-5)


def test_one_answer_is_preferred_to_nothing(backbone):  # noqa: F811
    answers = torch.tensor([[5, -1], [6, -1], [-1, -1]])
    rewards = torch.tensor([[0.5, 9.0], [0.1, -9.0], [1.0, 2.0]])
    group, shown = ipa.Config().group(Answered(answers, TARGETS, INDEX.codes, rewards))
    assert group.real.tolist() == [[True, False, False]] * 3
    assert float(shown["margin"]) == 0
    log_p = backbone.log_probs_of(HISTORIES, group.items, INDEX)
    found, _ = ipa.Config(supervised=0.0).loss(group, log_p, log_p.detach())
    assert found.tolist() == [0.0, 0.0, 0.0]


def test_a_step_prefers_the_better_answer(backbone):  # noqa: F811
    answers = beams(backbone, hit=False)
    found, _ = losses(ipa.Config(supervised=0.0), backbone, answers)
    found.sum().backward()
    pair = torch.stack([answers.max(1).values, answers.min(1).values], 1)
    before = backbone.log_probs_of(HISTORIES, pair, INDEX).sum(2).detach()
    with torch.no_grad():
        for weight in backbone.parameters():
            if weight.grad is not None:
                weight -= 1e-2 * weight.grad
        gained = backbone.log_probs_of(HISTORIES, pair, INDEX).sum(2) - before
    assert float((gained[:, 0] - gained[:, 1]).sum()) > 0
