import numpy as np
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unisid.ops.blend import fit_weights


def sampled(n, candidates, parts, seed):
    """Parts, which candidates are real, and choices drawn by known weights."""
    rng = np.random.default_rng(seed)
    values = torch.from_numpy(rng.normal(size=(n, candidates, parts)))
    real = torch.from_numpy(rng.random((n, candidates)) < 0.8)
    real[:, 0] = True
    truth = torch.from_numpy(rng.normal(size=parts))
    share = (values @ truth).masked_fill(~real, -torch.inf).softmax(1)
    chosen = torch.multinomial(share, 1, generator=torch.Generator().manual_seed(seed))[:, 0]
    return values, real, chosen, truth


def value(weights, start, parts, real, chosen, ridge):
    weights = torch.as_tensor(weights)
    log_p = (parts @ weights).masked_fill(~real, -torch.inf).log_softmax(1)
    return float(log_p[torch.arange(len(chosen)), chosen].sum() - ridge / 2 * (weights - start).square().sum())


@given(st.integers(1, 5), st.integers(0, 100))
@settings(deadline=None, max_examples=20)
def test_it_is_the_maximum_that_another_optimiser_finds(parts, seed):
    values, real, chosen, _ = sampled(40, 6, parts, seed)
    start = torch.zeros(parts, dtype=torch.float64)
    found = fit_weights(values, real, chosen, start, ridge=0.5)
    best = scipy.optimize.minimize(lambda w: -value(w, start, values, real, chosen, 0.5), start.numpy(), tol=1e-10)
    assert np.allclose(found.numpy(), best.x, atol=1e-3)


def test_many_samples_give_back_the_weights_they_were_drawn_by():
    values, real, chosen, truth = sampled(20000, 8, 3, 0)
    assert torch.allclose(fit_weights(values, real, chosen, torch.zeros(3)), truth, atol=0.05)


def test_two_shares_whose_sums_are_added_give_what_one_gives():
    values, real, chosen, _ = sampled(200, 6, 3, 1)
    start = torch.ones(3)
    one = fit_weights(values, real, chosen, start)
    doubled = fit_weights(values[:100].repeat(2, 1, 1), real[:100].repeat(2, 1), chosen[:100].repeat(2), start)
    half = fit_weights(values[:100], real[:100], chosen[:100], start, total=lambda tensor: 2 * tensor)
    assert torch.allclose(doubled, half, atol=1e-9)
    assert not torch.allclose(one, half, atol=1e-3)


def test_without_samples_the_weights_stay():
    start = torch.tensor([0.25, 1.0])
    found = fit_weights(torch.zeros(0, 3, 2), torch.zeros(0, 3, dtype=torch.bool), torch.zeros(0).long(), start)
    assert found.tolist() == start.tolist()


def test_a_part_that_says_nothing_keeps_its_weight():
    values, real, chosen, _ = sampled(100, 5, 2, 2)
    values[:, :, 1] = 3.0
    found = fit_weights(values, real, chosen, torch.tensor([0.0, 0.5]))
    assert abs(float(found[1]) - 0.5) < 1e-9
    assert found[0] != 0
