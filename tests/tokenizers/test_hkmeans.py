"""Hierarchical k-means: codebooks that hang on the codes before, never worse than flat ones, bounded in memory."""

import pytest
import torch

from unisid.errors import ConfigError
from unisid.tokenizers import hkmeans, rqkmeans


def nested(seed: int = 0) -> torch.Tensor:
    """Six clusters of four clusters each, every one laid out in its own way."""
    generator = torch.Generator().manual_seed(seed)
    coarse = 10 * torch.randn(6, 1, 1, 4, generator=generator)
    fine = coarse + torch.randn(6, 4, 1, 4, generator=generator)
    return (fine + 0.05 * torch.randn(6, 4, 12, 4, generator=generator)).reshape(-1, 4)


def fitted(kind, levels: int, size: int, rows: torch.Tensor):
    tokenizer = kind.Config(num_levels=levels, codebook_size=size).build(rows.shape[1])
    tokenizer.start(rows, 0)
    return tokenizer


@torch.no_grad()
@pytest.mark.parametrize(("levels", "size"), [(2, 6), (2, 12), (3, 6)])
def test_it_says_no_less_of_clustered_vectors_than_flat_codebooks_of_the_same_size(levels, size):
    rows, errors = nested(), {}
    for kind in (hkmeans, rqkmeans):
        tokenizer = fitted(kind, levels, size, rows)
        errors[kind] = float((tokenizer.decode(tokenizer.encode(rows)) - rows).square().mean())
    assert errors[hkmeans] <= errors[rqkmeans]


@torch.no_grad()
def test_the_same_second_code_means_something_else_below_another_first_one():
    tokenizer = fitted(hkmeans, 2, 6, nested())
    below = torch.stack(
        [tokenizer.lookup(torch.tensor([[first, 3]])) - tokenizer.lookup(torch.tensor([[first]])) for first in range(6)]
    )
    assert len(below.unique(dim=0)) == 6
    flat = fitted(rqkmeans, 2, 6, nested())
    steps = torch.stack(
        [flat.lookup(torch.tensor([[first, 3]])) - flat.lookup(torch.tensor([[first]])) for first in range(6)]
    )
    torch.testing.assert_close(steps, steps[:1].expand_as(steps), atol=1e-4, rtol=0)


@torch.no_grad()
def test_no_codes_say_nothing():
    tokenizer = fitted(hkmeans, 2, 6, nested())
    assert (tokenizer.lookup(torch.empty(3, 0, dtype=torch.long)) == 0).all()


def test_a_tree_that_would_not_fit_is_refused():
    with pytest.raises(ConfigError, match=r"3 levels of 256 codes are a tree of 16,843,008 centroids, at most"):
        hkmeans.Config(codebook_size=256)
    for levels, size in ((3, 101), (2, 1023)):  # what the message says would do
        assert hkmeans.Config(num_levels=levels, codebook_size=size).num_centroids <= hkmeans.MOST_CENTROIDS
        with pytest.raises(ConfigError):
            hkmeans.Config(num_levels=levels, codebook_size=size + 1)
    with pytest.raises(ConfigError, match="hkmeans.restarts: is 0; must be at least 1"):
        hkmeans.Config(restarts=0)
