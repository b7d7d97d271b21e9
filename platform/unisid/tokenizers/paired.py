"""Two indexes in one: the first dimensions of a vector are quantized by the first levels, the others by the last ones.

Each half is residual k-means of its own dimensions, as if the others were not there, and its codes are unique by
themselves: either half of a semantic id names an item. For recommenders of two streams (EAGER) over joined vectors.
n rows, D width, L levels, K codes.
"""

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from unisid.bounds import Count, CountOrNone
from unisid.errors import ConfigError
from unisid.ops.kmeans import balanced_residual_kmeans
from unisid.tokenizers import CodebookSize, Levels, Portable, Tokenizer, TokenizerConfig


@dataclass(frozen=True, kw_only=True)
class Config(TokenizerConfig):
    """Balanced residual k-means of each half."""

    num_levels: Levels = 4
    """Codes of a semantic id, half of them of each half."""
    codebook_size: CodebookSize = 128
    """Centroids of each level."""
    first_width: CountOrNone = 0
    """Dimensions of the first half; 0: half of the vectors'."""
    iterations: Count = 25
    """At most this many rounds a level."""
    sample: Count = 65_536
    """At most this many items, drawn by the seed, are clustered; all others are only assigned."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_levels % 2:
            raise ConfigError(f"paired.num_levels: is {self.num_levels}; must be even, half of them of each half")

    @property
    def parts(self) -> tuple[int, ...]:
        return (self.num_levels // 2,) * 2

    def build(self, width: int) -> "Paired":
        edge = self.first_width or width // 2
        if not 0 < edge < width:
            raise ConfigError(
                f"paired.first_width: is {edge}, the vectors have {width} dimensions; must be less, and each half must "
                "have some"
            )
        return Paired(self, width, edge)


class Paired(Tokenizer):
    """Codebooks as wide as the vectors, zero in the dimensions of the other half: residuals there stay what they are
    and add the same to the distance of every code."""

    def __init__(self, config: Config, width: int, edge: int) -> None:
        super().__init__(width)
        self.config, self.edge = config, edge
        self.register_buffer("codebooks", torch.zeros(config.num_levels, config.codebook_size, width))

    def latent(self, standard: Float[Tensor, "n D"]) -> Float[Tensor, "n d"]:
        return standard

    def restore(self, latents: Float[Tensor, "n d"]) -> Float[Tensor, "n D"]:
        return latents

    def portable(self) -> Portable:
        return Portable("residual", self.codebooks)

    def start(self, vectors: Float[Tensor, "n D"], seed: int) -> None:
        rows, config = self.standardise(vectors), self.config
        half, edge = config.num_levels // 2, self.edge
        for number, dimensions in enumerate((slice(None, edge), slice(edge, None))):
            self.codebooks[number * half : (number + 1) * half, :, dimensions] = balanced_residual_kmeans(
                rows[:, dimensions],
                half,
                config.codebook_size,
                seed=seed + number,
                iterations=config.iterations,
                on_round=lambda done, total, before=number: self.on_round(before * total + done, 2 * total),
            )

    def part(self, levels: slice) -> "Paired":
        found = copy.copy(self)
        found._buffers = {**self._buffers, "codebooks": self.codebooks[levels]}
        return found
