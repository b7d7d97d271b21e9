"""What every objective must do, whichever modules the folder holds."""

import pytest
import torch

from tests.backbones.models import index_of
from unisid.alignment import Answered
from unisid.backbones import tiger
from unisid.config import from_record, plug_in, plug_ins, to_record

KINDS = plug_ins("alignment")
INDEX = index_of((4, 4, 3), 24)
TINY = tiger.Config(
    width=16, num_heads=2, head_width=8, feedforward_width=16, num_encoder_layers=1, num_decoder_layers=1, dropout=0.0
)
HISTORIES = torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
TARGETS = torch.tensor([10, 11, 12])


@pytest.fixture(params=KINDS)
def objective(request):
    return plug_in("alignment", request.param)()


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    return TINY.build(INDEX).eval()


def answered(answers) -> Answered:
    """The reward of an item grows with its number."""
    return Answered(answers, TARGETS, INDEX.codes, answers.float())


def losses(objective, backbone, answers, reference=None):
    with torch.no_grad():
        group, _ = objective.group(answered(answers))
    log_p = backbone.log_probs_of(HISTORIES, group.items, INDEX)
    before = log_p.detach() if reference is None else reference.log_probs_of(HISTORIES, group.items, INDEX)
    return objective.loss(group, log_p, before if objective.needs_reference else None)


def beams(backbone, hit: bool = True):
    """Six wrong answers a prompt, or five and the target in the middle."""
    answers = torch.stack([torch.tensor([i for i in range(24) if i not in (1, 10, 11, 12)])[:6]] * 3)
    if hit:
        answers[:, 2] = TARGETS
    return answers


def test_its_settings_survive_the_round_trip(objective):
    assert from_record(type(objective), to_record(objective)) == objective


def test_a_step_down_its_gradient_raises_the_target(objective, backbone):
    answers = beams(backbone)
    before = backbone.log_probs(HISTORIES, TARGETS, INDEX).sum(1).detach()
    found, _ = losses(objective, backbone, answers)
    found.mean().backward()
    with torch.no_grad():
        for weight in backbone.parameters():
            weight -= 1e-3 * weight.grad
    assert (backbone.log_probs(HISTORIES, TARGETS, INDEX).sum(1) > before).all()


def test_a_prompt_s_loss_is_its_own(objective, backbone):
    """It does not change with the others, nor with what fills a short row."""
    answers = beams(backbone)
    found, _ = losses(objective, backbone, answers)
    wider, _ = losses(objective, backbone, torch.cat([answers, torch.full((3, 2), -1)], 1))
    other = answers.clone()
    other[0] = answers[0].flip(0) + 12
    changed, _ = losses(objective, backbone, other)
    assert found.shape == (3,)
    assert torch.allclose(found[1:], changed[1:], atol=1e-6)
    if objective.kind != "grpo" or not objective.rank:  # whose ranks are of all that was asked for
        assert torch.allclose(found, wider, atol=1e-6)


def test_its_figures_are_numbers(objective, backbone):
    with torch.no_grad():
        _, shown = objective.group(answered(beams(backbone)))
        _, further = losses(objective, backbone, beams(backbone))
    assert all(float(value) == float(value) for value in {**shown, **further}.values())
