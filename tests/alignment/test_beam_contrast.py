"""The target against the beams: the loss is that of both its parts, and learns from every prompt."""

import torch

from tests.alignment.test_contract import HISTORIES, INDEX, TARGETS, backbone, beams, losses  # noqa: F401, a fixture
from unisid.alignment import beam_contrast


def test_it_is_a_softmax_over_the_candidates_and_the_supervised_loss(backbone):  # noqa: F811
    answers = beams(backbone, hit=False)
    found, _ = losses(beam_contrast.Config(temperature=0.5, gamma=2.0), backbone, answers)
    candidates = torch.cat([TARGETS[:, None], answers], 1)
    log_p = backbone.log_probs_of(HISTORIES, candidates, INDEX)
    expected = -(log_p.sum(2) / 0.5).log_softmax(1)[:, 0] - 2 * log_p[:, 0].mean(1)
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_hit_is_no_wrong_answer(backbone):  # noqa: F811
    """Whether the search found the target makes it no alternative to itself."""
    answers = beams(backbone)
    found, _ = losses(beam_contrast.Config(gamma=0.0), backbone, answers)
    without, _ = losses(beam_contrast.Config(gamma=0.0), backbone, answers[:, [0, 1, 3, 4, 5]])
    assert torch.allclose(found, without, atol=1e-6)
