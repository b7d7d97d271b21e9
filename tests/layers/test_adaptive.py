import torch
from torch.nn import functional

from unisid.layers.adaptive import AdaptiveNorm


def test_it_begins_as_layer_normalisation() -> None:
    values = torch.randn(5, 8)
    assert torch.equal(AdaptiveNorm(8)(values), functional.layer_norm(values, (8,)))


def test_scale_and_shift_are_linear_in_its_input() -> None:
    norm = AdaptiveNorm(3)
    torch.nn.init.normal_(norm.conditions.weight)
    torch.nn.init.normal_(norm.conditions.bias)
    values = torch.randn(4, 3)
    weight, bias = norm.conditions.weight, norm.conditions.bias
    for row, found in zip(values, norm(values), strict=True):
        plain = (row - row.mean()) / (row.var(unbiased=False) + 1e-5).sqrt()
        gamma, beta = weight[:3] @ row + bias[:3], weight[3:] @ row + bias[3:]
        assert torch.allclose(found, (1 + gamma) * plain + beta, atol=1e-5)
