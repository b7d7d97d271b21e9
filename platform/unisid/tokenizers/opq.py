"""Optimised product quantization: codes of equal rank, each of one piece of a rotated vector (RPG; VQ-Rec).

No code is coarser than another, and none depends on those before it. n rows, D width, P = D rounded up to a multiple
of L, L levels, l of them chosen, K codes, s = P / L.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from unisid.bounds import Count, CountOrNone
from unisid.ops.product import learn_rotation, product_kmeans, product_lookup, product_quantize
from unisid.ops.residual import squared_distances
from unisid.tokenizers import CodebookSize, Levels, Portable, Tokenizer, TokenizerConfig


@dataclass(frozen=True, kw_only=True)
class Config(TokenizerConfig):
    """Product quantization after a learned rotation, by FAISS."""

    num_levels: Levels = 7
    """Codes of a semantic id: pieces of a vector."""
    codebook_size: CodebookSize = 256
    """Centroids of each piece."""
    rotations: CountOrNone = 50
    """Rounds of learning the rotation; 0: none, which is plain product quantization."""
    restarts: Count = 3
    """Independent k-means runs a piece; the best is kept."""
    iterations: Count = 25
    """Rounds of each k-means."""
    sample: Count = 65_536
    """At most this many items, drawn by the seed, are fitted to; all others are only assigned."""

    def build(self, width: int) -> "OPQ":
        return OPQ(self, width)


class OPQ(Tokenizer):
    """The rotation and a codebook a piece; the latent space is the rotated one."""

    rotation: Float[Tensor, "P P"]

    def __init__(self, config: Config, width: int) -> None:
        super().__init__(width)
        self.config = config
        piece = -(-width // config.num_levels)
        self.register_buffer("rotation", torch.eye(config.num_levels * piece))
        self.register_buffer("codebooks", torch.zeros(config.num_levels, config.codebook_size, piece))

    def latent(self, standard: Float[Tensor, "n D"]) -> Float[Tensor, "n P"]:
        return F.pad(standard, (0, len(self.rotation) - standard.shape[1])) @ self.rotation

    def restore(self, latents: Float[Tensor, "n P"]) -> Float[Tensor, "n D"]:
        return (latents @ self.rotation.T)[:, : len(self.mean)]

    def portable(self) -> Portable:
        rotation = self.rotation[: len(self.mean)].T
        return Portable("product", self.codebooks, [(rotation, torch.zeros(len(rotation)))])

    def start(self, vectors: Float[Tensor, "n D"], seed: int) -> None:
        config, standard = self.config, self.standardise(vectors)
        levels, size = config.num_levels, config.codebook_size
        padded = F.pad(standard, (0, len(self.rotation) - standard.shape[1]))
        self.rotation.copy_(learn_rotation(padded, levels, size, seed=seed, iterations=config.rotations))
        self.codebooks.copy_(
            product_kmeans(
                self.latent(standard),
                levels,
                size,
                seed=seed,
                points_per_code=-(-config.sample // size),
                iterations=config.iterations,
                restarts=config.restarts,
            )
        )

    def lookup(self, codes: Int[Tensor, "n l"]) -> Float[Tensor, "n P"]:
        return product_lookup(codes, self.codebooks)

    def distances(self, latents: Float[Tensor, "n P"], prefix: Int[Tensor, "n l"]) -> Float[Tensor, "n K"]:
        level = prefix.shape[1]
        return squared_distances(latents.chunk(len(self.codebooks), 1)[level], self.codebooks[level])

    def complete(self, latents: Float[Tensor, "n P"], prefix: Int[Tensor, "n l"]) -> Int[Tensor, "n L"]:
        return torch.cat([prefix, product_quantize(latents, self.codebooks)[:, prefix.shape[1] :]], 1)
