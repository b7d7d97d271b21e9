"""Residual quantization against its twin; its gradients; its laws."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import residual as twin
from unisid.ops.residual import lookup, nearest, quantization_loss, quantize, squared_distances, straight_through


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 12), st.integers(1, 4), st.integers(1, 6), st.integers(1, 5), st.integers(0, 99))
def test_quantize_and_lookup_are_their_twins(rows, levels, codes, width, seed):
    torch.manual_seed(seed)
    x, books = torch.randn(rows, width), torch.randn(levels, codes, width)
    found = quantize(x, books)
    assert found.shape == (rows, levels)
    if rows:
        assert np.array_equal(found.numpy(), twin.quantize(x.numpy(), books.numpy()))
        np.testing.assert_allclose(lookup(found, books), twin.lookup(found.numpy(), books.numpy()), atol=1e-5)


def test_quantization_stops_where_codewords_are_exact():
    books = torch.tensor([[[10.0, 0.0], [0.0, 10.0]], [[1.0, 0.0], [0.0, 1.0]]])
    codes = torch.cartesian_prod(torch.arange(2), torch.arange(2))
    assert torch.equal(quantize(lookup(codes, books), books), codes)


def test_distances_are_squared_and_never_negative():
    x = torch.randn(50, 8) * 100
    assert torch.allclose(squared_distances(x, x[:20]), torch.cdist(x, x[:20]).square(), rtol=1e-3, atol=0.5)
    assert squared_distances(x, x).min() >= 0


def test_nearest_in_chunks_is_nearest_at_once(monkeypatch):
    x, book = torch.randn(100, 4), torch.randn(7, 4)
    whole = nearest(x, book)
    monkeypatch.setattr("unisid.ops.residual.CHUNK", 9)
    assert torch.equal(nearest(x, book), whole)


def test_loss_is_its_twin():
    torch.manual_seed(0)
    x, books = torch.randn(9, 4), torch.randn(3, 5, 4)
    codes = quantize(x, books)
    expected = twin.quantization_loss(x.numpy(), books.numpy(), codes.tolist(), 0.25)
    assert abs(float(quantization_loss(x, books, codes, 0.25)) - expected) < 1e-5


def test_codewords_and_rows_are_drawn_to_each_other_and_only_beta_reaches_the_rows():
    torch.manual_seed(0)
    x, books = torch.randn(6, 4, requires_grad=True), torch.randn(1, 3, 4, requires_grad=True)
    codes = quantize(x.detach(), books.detach())
    for beta in (0.0, 0.25):
        gradients = torch.autograd.grad(quantization_loss(x, books, codes, beta), (x, books), allow_unused=True)
        difference = (x - lookup(codes, books)).detach()
        assert torch.allclose(gradients[0], 2 * beta * difference / x.numel())
        expected = torch.zeros(3, 4).index_add(0, codes[:, 0], -2 * difference / x.numel())
        assert torch.allclose(gradients[1][0], expected)


def test_straight_through_has_the_value_of_one_and_the_gradient_of_the_other():
    x, q = torch.randn(3, 2, requires_grad=True), torch.randn(3, 2, requires_grad=True)
    out = straight_through(x, q)
    assert torch.allclose(out, q)
    gradient = torch.autograd.grad(out.square().sum(), (x, q), allow_unused=True)
    assert torch.allclose(gradient[0], 2 * q)
    assert gradient[1] is None
