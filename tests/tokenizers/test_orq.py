"""Orthogonal residual quantization: every level in directions of its own; in all of them it is residual k-means."""

import pytest
import torch

from tests.tokenizers.test_contract import WIDTH, vectors
from unisid.errors import ConfigError
from unisid.tokenizers import orq, rqkmeans


def fitted(kind, **settings):
    tokenizer = kind.Config(**({"num_levels": 3, "codebook_size": 8} | settings)).build(WIDTH)
    tokenizer.mean.copy_(vectors().mean(0))
    tokenizer.std.copy_(vectors().std(0))
    tokenizer.start(vectors(), 5)
    return tokenizer


@torch.no_grad()
@pytest.mark.parametrize("directions", [WIDTH, 40])
def test_in_all_directions_it_is_residual_kmeans_bit_for_bit(directions):
    found, wanted = fitted(orq, directions=directions), fitted(rqkmeans)
    assert torch.equal(found.codebooks, wanted.codebooks)
    assert torch.equal(found.encode(vectors()), wanted.encode(vectors()))


@torch.no_grad()
def test_a_code_is_that_of_the_turned_and_cut_residual():
    """The same by another way: turn by a level's directions, cut, and take the nearest there."""
    tokenizer = fitted(orq, directions=2)
    left = tokenizer.standardise(vectors())
    for codebook, codes in zip(tokenizer.codebooks, tokenizer.encode(vectors()).T, strict=True):
        values, axes = torch.linalg.eigh(codebook.T @ codebook)
        assert (values[:-2].abs() < 1e-4 * values[-1]).all()
        turned, words = left @ axes[:, -2:], codebook @ axes[:, -2:]
        assert torch.equal(torch.cdist(turned, words).argmin(1), codes)
        left = left - codebook[codes]


@torch.no_grad()
def test_fitted_directions_lose_less_than_principal_components():
    """Of rows whose clusters differ where the rows vary least."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(400, 6, generator=generator) * torch.tensor([2.0, 2.0, 2.0, 1.0, 0.1, 0.1])
    rows[:, 4:] += torch.tensor([[1.9, 0.0], [-1.9, 0.0], [0.0, 1.9], [0.0, -1.9]])[torch.arange(400) % 4]
    errors = []
    for rotations in (10, 0):
        tokenizer = orq.Config(num_levels=1, codebook_size=4, directions=2, rotations=rotations).build(6)
        tokenizer.start(rows, 0)
        errors.append(float((tokenizer.decode(tokenizer.encode(rows)) - rows).square().mean()))
    assert errors[0] < errors[1]


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match="orq.directions: is 0; must be at least 1"):
        orq.Config(directions=0)
