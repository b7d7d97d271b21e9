"""LoRA's pairs: added into the weights beside them and taken out again; layers that are not there are refused."""

import pytest
import torch
from torch import nn

from unisid.errors import ConfigError
from unisid.language.lora import Lora, inject, merged, unmerged

LORA = Lora(rank=2, alpha=6.0, dropout=0.0, targets=("q", "v"))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.v, self.out = nn.Linear(3, 4, bias=True), nn.Linear(3, 4, bias=False), nn.Linear(4, 1)

    def forward(self, x):
        return self.out(self.q(x) + self.v(x))


def adapted():
    torch.manual_seed(0)
    model = Block()
    plain = {name: value.clone() for name, value in model.state_dict().items()}
    inject(model, LORA)
    return model, plain


def test_pairs_begin_with_nothing_and_learn_alone():
    model, plain = adapted()
    assert {name for name, each in model.named_parameters() if each.requires_grad} == {
        f"{layer}.lora_{side}.default.weight" for layer in "qv" for side in "AB"
    }
    whole = merged(model.state_dict(), LORA)
    assert whole.keys() == plain.keys()
    assert all(torch.equal(whole[name], value) for name, value in plain.items())


def test_a_merged_model_computes_what_the_pairs_do():
    model, _ = adapted()
    for name, each in model.named_parameters():
        if ".lora_" in name:
            nn.init.normal_(each)
    alone = Block()
    alone.load_state_dict(merged(model.state_dict(), LORA))
    x = torch.randn(5, 3)
    torch.testing.assert_close(alone(x), model(x))


def test_unmerged_weights_are_the_same_model_beside_pairs_that_add_nothing():
    model, plain = adapted()
    held = model.state_dict()
    for name, each in held.items():
        if ".lora_" in name:
            nn.init.ones_(each)
    found = unmerged(plain, held)
    assert found.keys() == held.keys()
    whole = merged(found, LORA)
    assert all(torch.equal(whole[name], value) for name, value in plain.items())
    assert unmerged(plain, plain) == plain


def test_layers_that_are_not_there_are_refused():
    with pytest.raises(
        ConfigError, match="lora.targets: the model has no linear layer 'query'; must be among out, q, v"
    ):
        inject(Block(), Lora(targets=("q", "query")))
    with pytest.raises(ConfigError, match="lora.targets: names no layer"):
        Lora(targets=())
    assert LORA.scale == 3.0
