"""Balanced residual k-means: fitted in balance, encoded by the nearest."""

import pytest
import torch

from unisid.errors import ConfigError
from unisid.tokenizers import balanced, rqkmeans


def skewed() -> torch.Tensor:
    """Three quarters of the rows in one blob, the rest far around it."""
    generator = torch.Generator().manual_seed(0)
    blob = 0.3 * torch.randn(300, 4, generator=generator)
    return torch.cat([blob, 5 * torch.randn(100, 4, generator=generator)])


@torch.no_grad()
def test_codes_are_used_more_evenly_than_those_of_plain_k_means():
    largest = {}
    for kind in (balanced, rqkmeans):
        tokenizer = kind.Config(num_levels=1, codebook_size=8).build(4)
        tokenizer.start(skewed(), 0)
        codes = tokenizer.encode(skewed())[:, 0]
        largest[kind] = int(torch.bincount(codes, minlength=8).max())
    assert largest[balanced] < 0.5 * largest[rqkmeans]


@torch.no_grad()
def test_a_code_hangs_on_the_vector_alone_not_on_who_else_is_encoded():
    tokenizer = balanced.Config(num_levels=2, codebook_size=8).build(4)
    tokenizer.start(skewed(), 0)
    whole = tokenizer.encode(skewed())
    same = skewed()[:1].expand(50, 4)  # more equal rows than a balanced cluster holds
    assert (tokenizer.encode(same) == whole[:1]).all()


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match="balanced.iterations: is 0; must be at least 1"):
        balanced.Config(iterations=0)
