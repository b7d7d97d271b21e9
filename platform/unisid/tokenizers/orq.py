"""Orthogonal residual quantization: every level turns what is left so that few directions hold what its codewords say.

After DOS (Yin et al. 2026), which turns the space by an orthogonal matrix before it quantizes a residual. Its rotation
is learned with a recommender; ours is fitted: reduced k-means of each level's residuals. n rows, D width, L levels, K
codes.
"""

import functools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from unisid.bounds import Count, CountOrNone, Width
from unisid.ops.kmeans import residual_codebooks
from unisid.ops.subspace import subspace_kmeans
from unisid.tokenizers import CodebookSize, Levels, Portable, Tokenizer, TokenizerConfig


@dataclass(frozen=True, kw_only=True)
class Config(TokenizerConfig):
    """Residual k-means whose levels each have directions of their own."""

    num_levels: Levels = 3
    """Codes of a semantic id."""
    codebook_size: CodebookSize = 256
    """Centroids of each level."""
    directions: Width = 32
    """Directions in which the codewords of a level differ; as many as the vectors are wide, or more: `rqkmeans`."""
    rotations: CountOrNone = 10
    """At most this many rounds in which a level's directions and codewords are fitted to each other; 0: its directions
    are the principal components of what is left."""
    restarts: Count = 3
    """Independent k-means runs a level; the best is kept."""
    iterations: Count = 25
    """Rounds of each k-means."""
    sample: Count = 262_144
    """At most this many items, drawn by the seed, are clustered; all others are only assigned."""

    def build(self, width: int) -> "ORQ":
        return ORQ(self, width)


class ORQ(Tokenizer):
    """The codebooks, each in a subspace; the latent space is that of the standardised vectors themselves.

    The part of a residual outside a level's subspace is as far from one of its codewords as from any other. So the
    nearest codeword is that of the turned and cut residual, and codes are those of any residual quantizer.
    """

    def __init__(self, config: Config, width: int) -> None:
        super().__init__(width)
        self.config = config
        self.register_buffer("codebooks", torch.zeros(config.num_levels, config.codebook_size, width))

    def latent(self, standard: Float[Tensor, "n D"]) -> Float[Tensor, "n D"]:
        return standard

    def restore(self, latents: Float[Tensor, "n D"]) -> Float[Tensor, "n D"]:
        return latents

    def portable(self) -> Portable:
        return Portable("residual", self.codebooks)

    def start(self, vectors: Float[Tensor, "n D"], seed: int) -> None:
        config = self.config
        fit = functools.partial(
            subspace_kmeans,
            size=config.codebook_size,
            directions=config.directions,
            rounds=config.rotations,
            iterations=config.iterations,
            restarts=config.restarts,
            points_per_code=math.ceil(config.sample / config.codebook_size),
        )
        rows = self.standardise(vectors)
        self.codebooks.copy_(
            residual_codebooks(rows, config.num_levels, lambda left, level: fit(left, seed=seed + level), self.on_round)
        )
