"""The control: the supervised loss of the same prompts, whatever would be answered."""

import torch

from tests.alignment.test_contract import HISTORIES, INDEX, TARGETS, backbone, beams, losses  # noqa: F401, a fixture
from unisid.alignment import sft
from unisid.backbones import Batch


def test_it_is_the_backbone_s_own_loss(backbone):  # noqa: F811
    assert not sft.Config.explores
    found, _ = losses(sft.Config(), backbone, beams(backbone))
    assert torch.allclose(found.mean(), backbone.loss(Batch(HISTORIES, TARGETS), INDEX), atol=1e-6)
