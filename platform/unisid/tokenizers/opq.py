"""Optimised product quantization: codes of equal rank, each of one piece of a rotated vector (RPG; VQ-Rec).

No code is coarser than another, and none depends on those before it. n rows, D width, C components (D
where none are chosen), P = C rounded up to a multiple of L, L levels, l of them chosen, K codes, s = P / L.
"""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from unisid.bounds import Count, CountOrNone
from unisid.config import identity_where
from unisid.ops.principal import whitened
from unisid.ops.product import (
    learn_rotation,
    product_kmeans,
    product_lookup,
    product_quantize,
    rotation_rounds,
)
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
    whitened: CountOrNone = field(default=0, metadata=identity_where(lambda config: config.whitened > 0))
    """Principal components of the vectors that are kept, each scaled to variance 1, before the rotation (RPG: 128 of
    768, VQ-Rec: 128); 0: all dimensions as they are."""
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
    axes: Float[Tensor, "D C"]
    back: Float[Tensor, "C D"]

    def __init__(self, config: Config, width: int) -> None:
        super().__init__(width)
        self.config = config
        kept = config.whitened or width
        piece = -(-kept // config.num_levels)
        if config.whitened:
            self.register_buffer("axes", torch.zeros(width, kept))
            self.register_buffer("back", torch.zeros(kept, width))
        self.register_buffer("rotation", torch.eye(config.num_levels * piece))
        self.register_buffer("codebooks", torch.zeros(config.num_levels, config.codebook_size, piece))

    def latent(self, standard: Float[Tensor, "n D"]) -> Float[Tensor, "n P"]:
        return self._padded(standard) @ self.rotation

    def _padded(self, standard: Float[Tensor, "n D"]) -> Float[Tensor, "n P"]:
        """As wide as the pieces together: the components, or the dimensions, and zeros."""
        kept = standard @ self.axes if self.config.whitened else standard
        return F.pad(kept, (0, len(self.rotation) - kept.shape[1]))

    def restore(self, latents: Float[Tensor, "n P"]) -> Float[Tensor, "n D"]:
        kept = latents @ self.rotation.T
        return kept[:, : len(self.back)] @ self.back if self.config.whitened else kept[:, : len(self.mean)]

    def portable(self) -> Portable:
        rotation = self.rotation[: len(self.mean)].T
        return Portable("product", self.codebooks, [(rotation, torch.zeros(len(rotation)))])

    def start(self, vectors: Float[Tensor, "n D"], seed: int) -> None:
        config, standard = self.config, self.standardise(vectors)
        levels, size = config.num_levels, config.codebook_size
        if config.whitened:
            _, axes, back = whitened(standard, config.whitened)  # of mean 0
            self.axes.copy_(axes)
            self.back.copy_(back)
        turning, clustering = levels * rotation_rounds(config.rotations), config.restarts * config.iterations
        total = turning + levels * clustering
        self.rotation.copy_(
            learn_rotation(self._padded(standard), levels, size, seed=seed, iterations=config.rotations)
        )
        self.on_round(turning, total)
        self.codebooks.copy_(
            product_kmeans(
                self.latent(standard),
                levels,
                size,
                seed=seed,
                points_per_code=-(-config.sample // size),
                iterations=config.iterations,
                restarts=config.restarts,
                on_round=lambda done, _: self.on_round(turning + done * clustering, total),
            )
        )

    def lookup(self, codes: Int[Tensor, "n l"]) -> Float[Tensor, "n P"]:
        return product_lookup(codes, self.codebooks)

    def distances(self, latents: Float[Tensor, "n P"], prefix: Int[Tensor, "n l"]) -> Float[Tensor, "n K"]:
        level = prefix.shape[1]
        return squared_distances(latents.chunk(len(self.codebooks), 1)[level], self.codebooks[level])

    def complete(self, latents: Float[Tensor, "n P"], prefix: Int[Tensor, "n l"]) -> Int[Tensor, "n L"]:
        return torch.cat([prefix, product_quantize(latents, self.codebooks)[:, prefix.shape[1] :]], 1)
