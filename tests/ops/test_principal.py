import torch

from unisid.ops.principal import principal, project


def test_components_are_uncorrelated_and_of_unit_variance_together():
    torch.manual_seed(0)
    values = torch.randn(500, 6) @ torch.randn(6, 6) + 3
    mean, axes = principal(values, 4)
    found = project(values, mean, axes)
    assert torch.allclose(found.mean(0), torch.zeros(4), atol=1e-4)
    covariance = found.T @ found / len(found)
    assert torch.allclose(covariance, torch.diag(covariance.diag()), atol=1e-3)
    assert (covariance.diag().diff() <= 0).all()
    assert abs(float(covariance.diag().mean()) - 1) < 1e-3


def test_a_narrower_vector_fills_up_with_zeros_and_an_unknown_one_is_zero():
    torch.manual_seed(0)
    values = torch.randn(50, 3)
    values[7] = 0
    mean, axes = principal(values, 5)
    found = project(values, mean, axes)
    assert found.shape == (50, 5)
    assert found[:, 3:].abs().max() == 0
    assert found[7].tolist() == [0.0] * 5
