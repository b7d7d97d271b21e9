"""Two indexes in one: each half is of its own dimensions alone, and unique by itself."""

import numpy as np
import pytest
import torch

from tests.stages.test_codes import clusters, make
from unisid.errors import ConfigError
from unisid.ops.kmeans import balanced_residual_kmeans
from unisid.stages import codes as stage
from unisid.tokenizers import read_tokenizer
from unisid.tokenizers.paired import Config, Paired


def fitted(width: int = 12, **settings: int) -> tuple[Paired, torch.Tensor]:
    vectors = torch.randn(200, width, generator=torch.Generator().manual_seed(1))
    tokenizer = Config(**{"num_levels": 4, "codebook_size": 8, "first_width": 5, **settings}).build(width)
    tokenizer.start(vectors, 3)
    return tokenizer, vectors


def test_each_half_is_residual_kmeans_of_its_own_dimensions() -> None:
    tokenizer, vectors = fitted()
    for number, dimensions in enumerate((slice(0, 5), slice(5, 12))):
        books = balanced_residual_kmeans(vectors[:, dimensions], 2, 8, seed=3 + number)
        own = tokenizer.codebooks[2 * number : 2 * number + 2]
        assert torch.equal(own[:, :, dimensions], books)
        assert own.count_nonzero() == books.count_nonzero()  # zero elsewhere


def test_a_half_says_nothing_of_the_others_dimensions() -> None:
    tokenizer, vectors = fitted()
    codes, other = tokenizer.encode(vectors), vectors.clone()
    other[:, :5] = torch.randn(200, 5)
    again = tokenizer.encode(other)
    assert torch.equal(codes[:, 2:], again[:, 2:])
    assert not torch.equal(codes[:, :2], again[:, :2])


def test_a_part_encodes_as_the_whole_does() -> None:
    tokenizer, vectors = fitted()
    codes = tokenizer.encode(vectors)
    for number in range(2):
        own = slice(2 * number, 2 * number + 2)
        assert torch.equal(tokenizer.part(own).encode(vectors), codes[:, own])
    assert tokenizer.codebooks.shape == (4, 8, 12)


def test_left_out_the_halves_are_equally_wide() -> None:
    tokenizer, _ = fitted(first_width=0)
    assert tokenizer.edge == 6


def test_either_half_of_every_id_is_unique(place) -> None:
    """Where residual codes of one half collide, it is resolved within the half."""
    config = stage.Config(tokenizer=Config(num_levels=4, codebook_size=15, first_width=4))
    codes = make(place, config, clusters()).codes
    nearest = read_tokenizer(place / "codes").encode(torch.from_numpy(clusters())).numpy()
    for own in (slice(0, 2), slice(2, 4)):
        assert len(np.unique(nearest[:, own], axis=0)) < 200
        assert len(np.unique(codes[:, own], axis=0)) == 200


def test_what_cannot_be_is_refused(place) -> None:
    with pytest.raises(ConfigError, match="paired.num_levels: is 3; must be even"):
        Config(num_levels=3)
    with pytest.raises(ConfigError, match="paired.first_width: is 12, the vectors have 12 dimensions; must be less"):
        Config(first_width=12).build(12)
    with pytest.raises(
        ConfigError, match="codes.unique: is append, and each of 2 parts of an id by 'paired' must name"
    ):
        stage.Config(tokenizer=Config(), unique="append")
    small = stage.Config(tokenizer=Config(num_levels=4, codebook_size=8))
    with pytest.raises(
        ConfigError, match="2 levels of 8 codes, in each of 2 parts, name 64 items, the catalogue has 200"
    ):
        make(place, small, clusters())
