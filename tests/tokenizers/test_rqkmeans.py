"""Residual k-means: the space it quantizes in."""

import pytest
import torch

from unisid.config import to_record
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


def test_growing_numbers_of_dimensions_read_back_more():
    x = torch.randn(3000, 12, generator=torch.Generator().manual_seed(0)) * torch.linspace(3, 0.3, 12)
    errors = []
    for steps in (1, 6):
        tokenizer = rqkmeans.Config(num_levels=2, codebook_size=64, dimension_steps=steps, restarts=1).build(12)
        tokenizer.start(x, 0)
        errors.append(float((tokenizer.decode(tokenizer.encode(x)) - x).square().mean()))
    assert errors[1] < errors[0]


def test_the_steps_of_dimensions_count_for_identity_only_where_there_are_several():
    assert "dimension_steps" not in to_record(rqkmeans.Config(), identity=True)
    assert to_record(rqkmeans.Config(dimension_steps=10), identity=True)["dimension_steps"] == 10


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match="rqkmeans.restarts: is 0; must be at least 1"):
        rqkmeans.Config(restarts=0)
    with pytest.raises(ConfigError, match="rqkmeans.dimension_steps: is 0; must be at least 1"):
        rqkmeans.Config(dimension_steps=0)
