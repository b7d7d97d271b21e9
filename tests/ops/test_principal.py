import torch

from unisid.ops.principal import decorrelating, like, principal, project


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


def test_the_axes_of_the_same_vectors_are_those_they_had():
    torch.manual_seed(0)
    values = torch.randn(200, 8) @ torch.randn(8, 8) + 3
    mean, axes = principal(values, 5)
    again = like(values, project(values, mean, axes))
    assert torch.allclose(again[0] @ again[1], mean @ axes, atol=1e-3)
    assert torch.allclose(again[1], axes, atol=1e-4)


def test_vectors_turned_and_scaled_find_their_components():
    torch.manual_seed(1)
    values = torch.randn(200, 8) @ torch.randn(8, 8)
    mean, axes = principal(values, 5)
    components = project(values, mean, axes)
    turned = 3 * values @ torch.linalg.qr(torch.randn(8, 8)).Q + 7
    shared = torch.randperm(200)[:150]  # the others came later
    found = project(turned, *like(turned[shared], components[shared]))
    assert (found - components).norm() < 0.1 * components.norm()
    exact = project(turned, *like(turned, components))
    assert torch.allclose(exact, components, atol=1e-3)


def test_narrow_vectors_are_placed_too():
    torch.manual_seed(2)
    values = torch.randn(50, 3)
    components = project(values, *principal(values, 5))
    found = project(values, *like(values, components))
    assert found.shape == (50, 5)
    assert torch.allclose(found, components, atol=1e-3)


def test_all_directions_vary_alike_and_a_ridge_leaves_those_alone_that_hardly_vary():
    torch.manual_seed(0)
    values = torch.randn(500, 4) @ torch.randn(4, 4)
    centred = values - values.mean(0)
    white = centred @ decorrelating(centred, 0.0)
    torch.testing.assert_close(white.T @ white / 500, torch.eye(4), atol=1e-3, rtol=1e-3)
    flat = torch.cat([centred, torch.zeros(500, 1)], dim=1)
    for ridge in (0.0, 0.5):
        axes = decorrelating(flat, ridge)
        torch.testing.assert_close(axes, axes.T)
        assert not (flat @ axes)[:, 4].any()
    assert torch.equal(decorrelating(torch.zeros(3, 2), 0.1), torch.eye(2))
