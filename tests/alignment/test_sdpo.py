"""S-DPO on the recommender's answers: where it begins, and what its supervised part adds."""

import math

import pytest
import torch

from tests.alignment.test_contract import HISTORIES, INDEX, TARGETS, backbone, beams, losses  # noqa: F401, a fixture
from unisid.alignment import sdpo


def test_it_begins_at_the_log_of_the_candidates(backbone):  # noqa: F811
    found, shown = losses(sdpo.Config(), backbone, beams(backbone))
    assert found.tolist() == pytest.approx([math.log(6)] * 3, abs=1e-5)
    assert float(shown["ahead"]) == 0
    missed, _ = losses(sdpo.Config(), backbone, beams(backbone, hit=False))
    assert missed.tolist() == pytest.approx([math.log(7)] * 3, abs=1e-5)


def test_the_supervised_part_is_the_target_s_own(backbone):  # noqa: F811
    plain, _ = losses(sdpo.Config(), backbone, beams(backbone))
    both, _ = losses(sdpo.Config(supervised=2.0), backbone, beams(backbone))
    log_p = backbone.log_probs(HISTORIES, TARGETS, INDEX).mean(1)
    assert torch.allclose(both, plain - 2 * log_p, atol=1e-5)
