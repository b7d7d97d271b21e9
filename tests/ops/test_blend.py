import numpy as np
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unisid.ops.blend import fit_weights, weighted_sum


def sampled(n, candidates, parts, seed):
    """Parts, z, which candidates are real, and choices drawn by known weights."""
    rng = np.random.default_rng(seed)
    values = torch.from_numpy(rng.normal(size=(n, candidates, parts)))
    z = torch.from_numpy(rng.normal(size=n))
    real = torch.from_numpy(rng.random((n, candidates)) < 0.8)
    real[:, 0] = True
    truth = torch.from_numpy(rng.normal(size=(2, parts)))
    share = by_hand(values, z, truth).masked_fill(~real, -torch.inf).softmax(1)
    chosen = torch.multinomial(share, 1, generator=torch.Generator().manual_seed(seed))[:, 0]
    return (values, z, real, chosen), truth


def by_hand(values, z, weights):
    rows = [values[row] @ (weights[0] + float(z[row]) * weights[1]) for row in range(len(values))]
    return torch.stack(rows)


def value(weights, start, parts, z, real, chosen, ridge):
    weights = torch.as_tensor(weights).view(2, -1)
    log_p = by_hand(parts, z, weights).masked_fill(~real, -torch.inf).log_softmax(1)
    return float(
        log_p[torch.arange(len(chosen)), chosen].sum()
        - 0.5 * (torch.tensor(ridge)[:, None] * (weights - start).square()).sum()
    )


@given(st.integers(1, 5), st.integers(0, 100))
@settings(deadline=None, max_examples=20)
def test_it_is_the_maximum_that_another_optimiser_finds(parts, seed):
    samples, _ = sampled(40, 6, parts, seed)
    start = torch.zeros(2, parts, dtype=torch.float64)
    found = fit_weights(*samples, start, ridge=(0.5, 2.0))
    begun = start.flatten().numpy()
    best = scipy.optimize.minimize(lambda w: -value(w, start, *samples, (0.5, 2.0)), begun, tol=1e-10)
    assert np.allclose(found.flatten().numpy(), best.x, atol=1e-3)


def test_many_samples_give_back_the_weights_they_were_drawn_by():
    samples, truth = sampled(20000, 8, 3, 0)
    assert torch.allclose(fit_weights(*samples, torch.zeros(2, 3)), truth, atol=0.06)


def test_two_shares_whose_sums_are_added_give_what_one_gives():
    samples, _ = sampled(200, 6, 3, 1)
    start = torch.ones(2, 3)
    one = fit_weights(*samples, start)
    doubled = fit_weights(*(torch.cat([part[:100]] * 2) for part in samples), start)
    half = fit_weights(*(part[:100] for part in samples), start, total=lambda tensor: 2 * tensor)
    assert torch.allclose(doubled, half, atol=1e-9)
    assert not torch.allclose(one, half, atol=1e-3)


def test_without_samples_the_weights_stay():
    start = torch.tensor([[0.25, 1.0], [0.0, 0.5]])
    nothing = torch.zeros(0, 3, 2), torch.zeros(0), torch.zeros(0, 3, dtype=torch.bool), torch.zeros(0).long()
    assert fit_weights(*nothing, start).tolist() == start.tolist()


def test_a_part_that_says_nothing_keeps_its_weight():
    samples, _ = sampled(100, 5, 2, 2)
    samples[0][:, :, 1] = 3.0
    found = fit_weights(*samples, torch.tensor([[0.0, 0.5], [0.0, 0.25]]))
    assert torch.allclose(found[:, 1], torch.tensor([0.5, 0.25]).double(), atol=1e-9)
    assert (found[:, 0] != 0).all()


def test_where_z_is_0_everywhere_its_weights_stay():
    (values, z, real, chosen), _ = sampled(100, 5, 2, 3)
    found = fit_weights(values, torch.zeros_like(z), real, chosen, torch.zeros(2, 2))
    assert (found[0] != 0).all()
    assert (found[1] == 0).all()


@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 100))
@settings(deadline=None, max_examples=20)
def test_a_weighted_sum_has_the_weights_of_its_row(rows, parts, seed):
    made = torch.Generator().manual_seed(seed)
    values, weights = torch.randn(parts, rows, 7, generator=made), torch.randn(rows, parts, generator=made).double()
    found = weighted_sum(weights, iter(values))
    assert found.dtype == torch.float32
    assert torch.allclose(found, torch.einsum("fbn,bf->bn", values, weights.float()), atol=1e-5)
