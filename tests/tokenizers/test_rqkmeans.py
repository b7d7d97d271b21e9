"""Residual k-means: the space it quantizes in."""

import pytest
import torch

from unisid.errors import ConfigError
from unisid.tokenizers import rqkmeans


def test_only_directions_count_when_normalised():
    x = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
    tokenizer = rqkmeans.Config(num_levels=2, codebook_size=8, normalise=True).build(6)
    tokenizer.start(x, 0)
    lengths = torch.rand(400, 1, generator=torch.Generator().manual_seed(1)) * 9 + 0.5
    assert torch.equal(tokenizer.encode(x * lengths), tokenizer.encode(x))
    torch.testing.assert_close(tokenizer.latent(x).square().mean(1), torch.ones(400))


def test_a_code_for_every_vector_gives_the_vectors_back():
    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    tokenizer = rqkmeans.Config(num_levels=1, codebook_size=8).build(6)
    tokenizer.mean.fill_(0.5)
    tokenizer.std.fill_(2.0)
    tokenizer.start(x, 0)
    torch.testing.assert_close(tokenizer.decode(tokenizer.encode(x)), x)


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match="rqkmeans.restarts: is 0; must be at least 1"):
        rqkmeans.Config(restarts=0)
