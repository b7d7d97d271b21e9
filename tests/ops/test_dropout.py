import pytest
import torch

from unisid.ops.dropout import dropout, seeded


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_it_zeroes_the_stated_share_and_keeps_the_mean(rate):
    torch.manual_seed(0)
    out = dropout(torch.ones(400, 501), rate)
    assert (out == 0).float().mean().item() == pytest.approx(rate, abs=0.005)
    assert out.mean().item() == pytest.approx(1.0, abs=0.01)


def test_the_gradient_passes_where_the_value_did():
    torch.manual_seed(1)
    values = torch.rand(1000) + 1
    values.requires_grad_()
    out = dropout(values, 0.3)
    out.sum().backward()
    assert torch.allclose(values.grad, (out / values).detach())


def test_the_seed_decides_and_neighbours_are_independent():
    torch.manual_seed(2)
    first = dropout(torch.ones(100_000), 0.5)
    torch.manual_seed(2)
    assert torch.equal(first, dropout(torch.ones(100_000), 0.5))
    signs = torch.sign(first - 0.5)
    for lag in (1, 2, 4, 8):
        assert abs((signs[lag:] * signs[:-lag]).mean().item()) < 0.02


def test_rate_zero_is_nothing():
    values = torch.rand(3)
    assert dropout(values, 0.0) is values


def test_a_seed_decides_inside_and_the_own_state_goes_on_after():
    device = torch.device("cpu")

    def draws(seed, state):
        torch.manual_seed(state)
        with seeded(seed, device):
            inside = torch.rand(3)
        return inside, torch.rand(3)

    (first, after), (second, other) = draws(5, 1), draws(5, 2)
    assert torch.equal(first, second)
    assert not torch.equal(after, other)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(3))
    torch.manual_seed(1)
    assert torch.equal(draws(None, 1)[0], after)
