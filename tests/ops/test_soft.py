"""Soft codes: the formula, the hard limit, and the losses that are made of them."""

import math

import numpy as np
import pytest
import torch

from tests.references import soft as twin
from unisid.ops.residual import lookup, quantize
from unisid.ops.soft import median_distances, negative_entropy, soft_residual, symmetric_kl

GENERATOR = torch.Generator().manual_seed(0)
ROWS, BOOKS = torch.randn(6, 3, generator=GENERATOR), torch.randn(2, 5, 3, generator=GENERATOR)
TAU = torch.tensor([0.7, 0.3])


def test_it_is_the_formula():
    found = soft_residual(ROWS, BOOKS, TAU)
    p, quantized = twin.soft(ROWS.numpy(), BOOKS.numpy(), TAU.numpy())
    assert np.allclose(found.log_p.exp().numpy(), p, atol=1e-5)
    assert np.allclose(found.quantized.numpy(), quantized, atol=1e-5)
    assert torch.allclose(found.log_p.exp().sum(2), torch.ones(6, 2))


def test_towards_temperature_0_it_is_the_nearest_codeword():
    """Both ways of taking a level away become the hard one."""
    hard = quantize(ROWS, BOOKS)
    for subtract in ("soft", "hard"):
        found = soft_residual(ROWS, BOOKS, torch.full((2,), 1e-4), subtract)
        assert torch.equal(found.log_p.argmax(2), hard)
        assert torch.allclose(found.quantized, lookup(hard, BOOKS), atol=1e-4)


def test_hard_subtraction_leaves_the_residual_of_the_nearest_codeword():
    hard = quantize(ROWS, BOOKS)
    found = soft_residual(ROWS, BOOKS, TAU, "hard")
    second, _ = twin.soft((ROWS - BOOKS[0][hard[:, 0]]).numpy(), BOOKS[1:].numpy(), TAU[1:].numpy())
    assert np.allclose(found.log_p.exp()[:, 1].numpy(), second[:, 0], atol=1e-5)


def test_rows_and_codebooks_have_gradients():
    rows, books = ROWS.clone().requires_grad_(), BOOKS.clone().requires_grad_()
    soft_residual(rows, books, TAU).quantized.square().sum().backward()
    assert rows.grad.abs().min() > 0
    assert books.grad.abs().min() > 0


def test_uniformity_is_between_its_bounds():
    """-L log K where all codes are used alike, 0 where one is used alone."""
    assert float(negative_entropy(torch.full((3, 4), 0.25))) == pytest.approx(-3 * math.log(4))
    assert float(negative_entropy(torch.eye(4)[:3])) == 0


def test_the_gradient_of_uniformity_spreads_the_codes():
    logits = torch.tensor([[2.0, 0.0, 0.0]], requires_grad=True)
    negative_entropy(logits.softmax(1)).backward()
    assert logits.grad[0, 0] > 0 > logits.grad[0, 1]


def test_the_symmetric_divergence():
    p, q = (soft_residual(rows, BOOKS, TAU).log_p for rows in (ROWS, ROWS.flip(0)))
    each = [twin.kl(a.exp(), b.exp()) + twin.kl(b.exp(), a.exp()) for a, b in zip(p, q, strict=True)]
    assert float(symmetric_kl(p, q)) == pytest.approx(np.mean(each), rel=1e-4)
    assert float(symmetric_kl(p, q)) == pytest.approx(float(symmetric_kl(q, p)))
    assert float(symmetric_kl(p, p)) == 0


def test_the_divergence_falls_as_rows_near_one_another():
    other = ROWS + torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    p = soft_residual(ROWS, BOOKS, TAU).log_p
    found = [
        float(symmetric_kl(p, soft_residual(ROWS + s * (other - ROWS), BOOKS, TAU).log_p)) for s in (1, 0.5, 0.1, 0)
    ]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 1e-6


def test_median_distances_are_those_of_the_nearest_codewords():
    hard, left = quantize(ROWS, BOOKS), ROWS
    for level, found in enumerate(median_distances(ROWS, BOOKS)):
        nearest = BOOKS[level][hard[:, level]]
        assert float(found) == pytest.approx(float((left - nearest).square().sum(1).median()), rel=1e-4)
        left = left - nearest


def test_no_unit_is_0():
    assert (median_distances(ROWS, ROWS[None]) > 0).all()
    assert (median_distances(torch.zeros(3, 2), torch.zeros(1, 2, 2)) > 0).all()
