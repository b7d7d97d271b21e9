"""Modalities side by side, each as long as its weight."""

import pytest
import torch

from unisid.config import to_record
from unisid.errors import ConfigError
from unisid.fusion import Items
from unisid.fusion.concat import Config
from unisid.ops.ragged import Ragged

WIDTHS = {"graph": 2, "text": 3}


def test_each_part_is_as_long_as_its_weight():
    text, graph = torch.tensor([[[3.0, 0, 4]], [[0, 0, 0]]]), torch.tensor([[[2.0, 0], [0, 2]], [[0, -1], [0, -1]]])
    seen = Items({"text": Ragged.rectangle(text), "graph": Ragged.rectangle(graph)})
    half = 0.5**0.5
    plain = Config().build(WIDTHS)(seen)
    assert torch.allclose(plain, torch.tensor([[0.6, 0, 0.8, half, half], [0, 0, 0, 0, -1]]))
    weighted = Config(weights={"text": 0.5, "graph": 2.0}).build(WIDTHS)(seen)
    assert torch.allclose(weighted, plain * torch.tensor([0.5, 0.5, 0.5, 2, 2]))


def test_weights_bear_identity_where_there_are_any_and_name_modalities():
    assert "weights" not in to_record(Config(), identity=True)
    assert to_record(Config(weights={"text": 0.5}), identity=True)["weights"] == {"text": 0.5}
    with pytest.raises(ConfigError, match="fusion.weights: no modality 'txt'; did you mean 'text'"):
        Config(weights={"txt": 0.5}).build(WIDTHS)
    with pytest.raises(ConfigError, match="weights"):
        Config(weights={"text": -1.0})
