"""Hierarchical k-means: each cluster is clustered again by itself: a codebook hangs on the codes before it (ColaRec).

n rows, D width, L levels, l of them chosen, K codes of a level, W centroids of the whole tree.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unisid.bounds import Count
from unisid.errors import ConfigError
from unisid.ops.kmeans import groups, hierarchical_kmeans
from unisid.ops.residual import squared_distances
from unisid.tokenizers import CodebookSize, Levels, Portable, Tokenizer, TokenizerConfig

MOST_CENTROIDS = 1 << 20
"""A tree of more is refused: at a width of 1,024 it would take more than 4 GiB."""


@dataclass(frozen=True, kw_only=True)
class Config(TokenizerConfig):
    """A tree of k-means by FAISS."""

    num_levels: Levels = 3
    """Codes of a semantic id."""
    codebook_size: CodebookSize = 32
    """Children of every cluster. All levels together have codebook_size + ... + codebook_size ** num_levels
    centroids."""
    restarts: Count = 3
    """Independent k-means runs a cluster; the best is kept."""
    iterations: Count = 25
    """Rounds of each k-means."""
    sample: Count = 262_144
    """At most this many items, drawn by the seed, are clustered; all others are only assigned."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_centroids > MOST_CENTROIDS:
            raise ConfigError(
                f"hkmeans: {self.num_levels} levels of {self.codebook_size} codes are a tree of "
                f"{self.num_centroids:,} centroids, at most {MOST_CENTROIDS:,} are kept; take fewer levels or codes, "
                "such as 3 of 101 or 2 of 1,023, or rqkmeans, which has one codebook a level"
            )

    @property
    def num_centroids(self) -> int:
        """W."""
        return first_of(self.num_levels, self.codebook_size)

    def build(self, width: int) -> "HKMeans":
        return HKMeans(self, width)


class HKMeans(Tokenizer):
    """The tree; the latent space is that of the standardised vectors themselves."""

    centroids: Float[Tensor, "W D"]

    def __init__(self, config: Config, width: int) -> None:
        super().__init__(width)
        self.config = config
        self.register_buffer("centroids", torch.zeros(config.num_centroids, width))

    def latent(self, standard: Float[Tensor, "n D"]) -> Float[Tensor, "n d"]:
        return standard

    def restore(self, latents: Float[Tensor, "n d"]) -> Float[Tensor, "n D"]:
        return latents

    def rename(self, names: Sequence[Int[Tensor, " _"]]) -> None:
        raise ConfigError(
            "tokenizer 'hkmeans': a code means something else below every prefix and cannot take the name of another "
            "index's; refresh an index of another kind, such as rqvae or rqkmeans"
        )

    def portable(self) -> Portable:
        return Portable("tree", self.centroids)

    def start(self, vectors: Float[Tensor, "n D"], seed: int) -> None:
        points = -(-self.config.sample // self.config.codebook_size)
        self.centroids.copy_(
            hierarchical_kmeans(
                self.standardise(vectors),
                self.config.num_levels,
                self.config.codebook_size,
                seed=seed,
                points_per_code=points,
                iterations=self.config.iterations,
                restarts=self.config.restarts,
                on_round=self.on_round,
            )
        )

    def lookup(self, codes: Int[Tensor, "n l"]) -> Float[Tensor, "n d"]:
        """The centroid of the last cluster that the codes name; it says all that the ones before said."""
        level = codes.shape[1]
        if not level:
            return self.centroids.new_zeros(len(codes), self.centroids.shape[1])
        return self.centroids[first_of(level - 1, self.config.codebook_size) + self._node(codes)]

    def distances(self, latents: Float[Tensor, "n d"], prefix: Int[Tensor, "n l"]) -> Float[Tensor, "n K"]:
        size = self.config.codebook_size
        first = first_of(prefix.shape[1], size)
        found = latents.new_empty(len(latents), size)
        for node, members in groups(self._node(prefix)):
            children = self.centroids[first + node * size : first + (node + 1) * size]
            found[members] = squared_distances(latents[members], children)
        return found

    def complete(self, latents: Float[Tensor, "n d"], prefix: Int[Tensor, "n l"]) -> Int[Tensor, "n L"]:
        for _ in range(prefix.shape[1], self.config.num_levels):
            prefix = torch.cat([prefix, self.distances(latents, prefix).argmin(1, keepdim=True)], 1)
        return prefix

    def _node(self, codes: Int[Tensor, "n l"]) -> Int[Tensor, " n"]:
        """The number of a cluster among those of its level."""
        node = codes.new_zeros(len(codes))
        for level in codes.T:
            node = node * self.config.codebook_size + level
        return node


def first_of(level: int, size: int) -> int:
    """Where the centroids below `level` codes begin: how many the levels above have together."""
    return sum(size**m for m in range(1, level + 1))
