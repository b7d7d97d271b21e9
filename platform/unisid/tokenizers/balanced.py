"""Balanced residual k-means: codebooks from clusters that are equally large (OneRec), or equally popular (ours).

Fitting is balanced, encoding is not: a code must be a function of the vector alone, so every item takes the nearest
centroid. n rows, D width, L levels, K codes.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unisid.bounds import Count
from unisid.config import identity_where
from unisid.ops.kmeans import balanced_residual_kmeans
from unisid.tokenizers import CodebookSize, Levels, Portable, TokenizerConfig, WeighingTokenizer


@dataclass(frozen=True, kw_only=True)
class Config(TokenizerConfig):
    """Residual k-means whose clusters hold equally many items of the sample."""

    num_levels: Levels = 3
    """Codes of a semantic id."""
    codebook_size: CodebookSize = 256
    """Centroids of each level."""
    equal: Literal["items", "interactions"] = field(
        default="items", metadata=identity_where(lambda config: config.equal != "items")
    )
    """What the clusters of a level hold equally much of: items of the sample; or their training interactions and one
    more for each item, so that the recommender has as much to learn every code from."""
    iterations: Count = 25
    """At most this many rounds a level."""
    sample: Count = 65_536
    """At most this many items, drawn by the seed, are clustered; all others are only assigned. A level's distances,
    `sample` times `codebook_size` times 4 bytes, lie in memory."""

    @property
    def weighs_items(self) -> bool:
        return self.equal == "interactions"

    def build(self, width: int) -> "Balanced":
        return Balanced(self, width)


class Balanced(WeighingTokenizer):
    """The codebooks; the latent space is that of the standardised vectors themselves."""

    def __init__(self, config: Config, width: int) -> None:
        super().__init__(width)
        self.config = config
        self.register_buffer("codebooks", torch.zeros(config.num_levels, config.codebook_size, width))

    def latent(self, standard: Float[Tensor, "n D"]) -> Float[Tensor, "n d"]:
        return standard

    def restore(self, latents: Float[Tensor, "n d"]) -> Float[Tensor, "n D"]:
        return latents

    def portable(self) -> Portable:
        return Portable("residual", self.codebooks)

    def start(self, vectors: Float[Tensor, "n D"], seed: int) -> None:
        self._fit(vectors, None, seed)

    def start_weighing(self, vectors: Float[Tensor, "n D"], interactions: Int[Tensor, " n"], seed: int) -> None:
        self._fit(vectors, interactions + 1, seed)

    def _fit(self, vectors: Float[Tensor, "n D"], loads: Int[Tensor, " n"] | None, seed: int) -> None:
        self.codebooks.copy_(
            balanced_residual_kmeans(
                self.standardise(vectors),
                self.config.num_levels,
                self.config.codebook_size,
                seed=seed,
                iterations=self.config.iterations,
                loads=loads,
                on_round=self.on_round,
            )
        )
