"""Product quantization: the rotation is one and it helps; pieces are quantized each for itself."""

import faiss
import pytest
import torch

from tests.references import residual as twin
from unisid.ops import product
from unisid.ops.product import learn_rotation, product_kmeans, product_lookup, product_quantize


def correlated(count: int = 1000, width: int = 8) -> torch.Tensor:
    """Most of the variance lies in two directions that every piece sees a little of."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([5.0, 4.0] + [0.3] * (width - 2))
    mixing = torch.linalg.qr(torch.randn(width, width, generator=generator))[0]
    return (torch.randn(count, width, generator=generator) * scale) @ mixing


def error(rows: torch.Tensor, levels: int, size: int) -> float:
    books = product_kmeans(rows, levels, size, seed=0)
    return float((rows - product_lookup(product_quantize(rows, books), books)).square().mean())


@pytest.mark.parametrize("size", [8, 11])
def test_the_rotation_is_orthogonal_and_lowers_the_error(size):
    rows = correlated()
    rotation = learn_rotation(rows, 4, size, seed=0, iterations=10)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(8), atol=1e-4, rtol=0)
    assert error(rows @ rotation, 4, size) < 0.9 * error(rows, 4, size)
    assert torch.equal(rotation, learn_rotation(rows, 4, size, seed=0, iterations=10))


def test_without_rounds_or_with_few_rows_nothing_turns():
    rows = correlated(50)
    assert torch.equal(learn_rotation(rows, 4, 8, seed=0, iterations=0), torch.eye(8))
    assert torch.equal(learn_rotation(rows[:8], 4, 8, seed=0, iterations=10), torch.eye(8))
    assert torch.equal(learn_rotation(correlated(60, 72), 3, 4, seed=0, iterations=2), torch.eye(72))
    assert not torch.equal(learn_rotation(correlated(72, 72), 3, 4, seed=0, iterations=2), torch.eye(72))


def test_it_is_residual_quantization_whose_codewords_are_zero_outside_their_piece():
    rows, books = correlated(60), product_kmeans(correlated(), 4, 5, seed=0)
    padded = torch.zeros(4, 5, 8)
    for level, book in enumerate(books):
        padded[level, :, 2 * level : 2 * level + 2] = book
    codes = product_quantize(rows, books)
    assert codes.tolist() == twin.quantize(rows.numpy(), padded.numpy()).tolist()
    torch.testing.assert_close(product_lookup(codes, books), torch.from_numpy(twin.lookup(codes, padded)).float())
    torch.testing.assert_close(product_lookup(codes[:, :2], books)[:, 4:], torch.zeros(60, 4))


def test_the_rounds_of_a_rotation_are_those_of_faiss():
    learning = faiss.OPQMatrix(4, 2)
    assert (learning.niter_pq_0, learning.niter_pq) == (product.FIRST_ROUNDS, product.FURTHER_ROUNDS)
    assert [product.rotation_rounds(count) for count in (0, 1, 50)] == [0, 40, 40 + 49 * 4]
