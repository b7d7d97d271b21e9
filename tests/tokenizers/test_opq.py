"""OPQ: a rotation that is one, codes of equal rank, widths that the levels do not divide."""

import pytest
import torch

from unisid.config import to_record
from unisid.errors import ConfigError
from unisid.tokenizers import opq


def correlated(count: int = 600, width: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(count, 3, generator=generator) * torch.tensor([3.0, 2.0, 1.0])
    return hidden @ torch.randn(3, width, generator=generator) + 0.1 * torch.randn(count, width, generator=generator)


def fitted(rows: torch.Tensor, **settings):
    tokenizer = opq.Config(**({"num_levels": 4, "codebook_size": 8, "rotations": 10} | settings)).build(rows.shape[1])
    tokenizer.start(rows, 0)
    return tokenizer


@torch.no_grad()
@pytest.mark.parametrize("levels", [4, 3])
def test_the_rotation_is_orthogonal_and_the_way_back_is_exact(levels):
    tokenizer = fitted(correlated(), num_levels=levels)
    size = -(-8 // levels) * levels  # three levels: a dimension of zeros is added
    torch.testing.assert_close(tokenizer.rotation @ tokenizer.rotation.T, torch.eye(size), atol=1e-4, rtol=0)
    torch.testing.assert_close(tokenizer.restore(tokenizer.latent(correlated())), correlated(), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_rotated_pieces_lose_less_than_plain_ones():
    errors = []
    for rotations in (10, 0):
        tokenizer = fitted(correlated(), rotations=rotations)
        errors.append(float((tokenizer.decode(tokenizer.encode(correlated())) - correlated()).square().mean()))
    assert errors[0] < 0.9 * errors[1]


@torch.no_grad()
def test_no_code_depends_on_another():
    tokenizer = fitted(correlated())
    latents = tokenizer.latent(correlated())
    nearest = tokenizer.encode(correlated())
    other = (nearest[:, :2] + 1) % 8
    assert torch.equal(tokenizer.complete(latents, other)[:, 2:], nearest[:, 2:])
    assert torch.equal(tokenizer.distances(latents, other), tokenizer.distances(latents, nearest[:, :2]))


@torch.no_grad()
@pytest.mark.parametrize(("kept", "levels"), [(3, 3), (8, 4), (3, 2)])
def test_whitened_components_vary_alike_and_the_way_back_is_that_of_the_kept_ones(kept, levels):
    rows = correlated() - correlated().mean(0)
    tokenizer = fitted(rows, whitened=kept, num_levels=levels)
    latents = tokenizer.latent(rows)
    assert latents.shape == (600, -(-kept // levels) * levels)
    components = (latents @ tokenizer.rotation.T)[:, :kept]
    torch.testing.assert_close(components.T @ components / 600, torch.eye(kept), atol=1e-3, rtol=0)
    restored = tokenizer.restore(latents)
    assert float((restored - rows).square().mean()) < (1e-6 if kept == 8 else 0.02)
    torch.testing.assert_close(tokenizer.latent(restored), latents, atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_more_components_than_dimensions_are_zeros():
    tokenizer = fitted(correlated(), whitened=12)
    assert tokenizer.axes[:, 8:].abs().max() == tokenizer.back[8:].abs().max() == 0
    assert tokenizer.encode(correlated()).shape == (600, 4)


def test_whitening_bears_identity_only_where_it_is_set():
    assert "whitened" not in to_record(opq.Config(), identity=True)
    assert to_record(opq.Config(whitened=64), identity=True)["whitened"] == 64


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match="opq.rotations: is -1; must be at least 0"):
        opq.Config(rotations=-1)
