"""Residual k-means: codebooks by k-means of the residuals, level by level, with nothing to train (OneRec; TS-Rec).

n rows, D width, L levels, K codes.
"""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from unisid.bounds import Count
from unisid.config import identity_where
from unisid.ops.kmeans import residual_kmeans
from unisid.tokenizers import CodebookSize, Levels, Portable, Tokenizer, TokenizerConfig


@dataclass(frozen=True, kw_only=True)
class Config(TokenizerConfig):
    """Residual k-means by FAISS."""

    num_levels: Levels = 3
    """Codes of a semantic id."""
    codebook_size: CodebookSize = 256
    """Centroids of each level."""
    restarts: Count = 3
    """Independent k-means runs a level; the best is kept. More make fewer collisions."""
    iterations: Count = 25
    """Rounds of each k-means."""
    dimension_steps: Count = field(default=1, metadata=identity_where(lambda config: config.dimension_steps != 1))
    """k-means runs this many times in a row, in a growing number of principal components, each beginning at the
    centroids of the one before (FAISS's residual quantizer has 10). More: a lower error, in as many times the time;
    on the processor alone."""
    normalise: bool = False
    """Bring every standardised vector to one length first, so that only directions count."""
    sample: Count = 262_144
    """At most this many items, drawn by the seed, are clustered; all others are only assigned."""

    def build(self, width: int) -> "RQKMeans":
        return RQKMeans(self, width)


class RQKMeans(Tokenizer):
    """The codebooks; the latent space is that of the standardised vectors themselves."""

    def __init__(self, config: Config, width: int) -> None:
        super().__init__(width)
        self.config = config
        self.register_buffer("codebooks", torch.zeros(config.num_levels, config.codebook_size, width))

    def latent(self, standard: Float[Tensor, "n D"]) -> Float[Tensor, "n d"]:
        if not self.config.normalise:
            return standard
        # sqrt(D) is the root mean square length of standardised vectors, so restoring needs no factor.
        return F.normalize(standard, dim=1) * math.sqrt(standard.shape[1])

    def restore(self, latents: Float[Tensor, "n d"]) -> Float[Tensor, "n D"]:
        return latents

    def portable(self) -> Portable:
        return Portable("residual", self.codebooks, normalise=self.config.normalise)

    def start(self, vectors: Float[Tensor, "n D"], seed: int) -> None:
        rows = self.latent(self.standardise(vectors))
        points = math.ceil(self.config.sample / self.config.codebook_size)
        self.codebooks.copy_(
            residual_kmeans(
                rows,
                self.config.num_levels,
                self.config.codebook_size,
                seed=seed,
                points_per_code=points,
                iterations=self.config.iterations,
                restarts=self.config.restarts,
                dimension_steps=self.config.dimension_steps,
                on_round=self.on_round,
            )
        )
