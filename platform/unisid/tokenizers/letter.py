"""LETTER: an RQ-VAE whose codes agree with interactions and whose codewords spread (Wang et al. 2024).

n rows of this worker, B rows of the global batch, D width of the vectors, d latent width, L levels, K codes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unisid.bounds import Count, CountOrNone, NotNegative, Width
from unisid.errors import ConfigError
from unisid.ops.alignment import alignment_loss, diversity_loss
from unisid.ops.kmeans import balanced_kmeans
from unisid.tokenizers import Batch, CodebookSize, LearnedTokenizer, Levels, Peers, Portable, TokenizerConfig
from unisid.tokenizers.rqvae import RQVAE, check_autoencoder


@dataclass(frozen=True, kw_only=True)
class Config(TokenizerConfig):
    """RQ-VAE with collaborative alignment and diversity of codewords."""

    num_levels: Levels = 3
    """Codes of a semantic id."""
    codebook_size: CodebookSize = 256
    """Codewords of each level."""
    widths: tuple[Width, ...] = (2048, 1024, 512, 256, 128, 64, 32)
    """Widths of the encoder's layers after the input, the last is the codewords'; the decoder mirrors them."""
    beta: NotNegative = 0.25
    """Weight of the commitment: how strongly latents are drawn to their codewords (mu in LETTER)."""
    quantization_weight: NotNegative = 1.0
    """Weight of the quantization loss beside the reconstruction, both means over dimensions."""
    alignment_weight: NotNegative = 0.02
    """Weight of the agreement with the graph's item vectors (alpha in LETTER: 0.01 to 0.02); 0: the graph is not
    read."""
    diversity_weight: NotNegative = 1e-4
    """Weight of the contrast inside clusters of codewords (beta in LETTER)."""
    num_clusters: Count = 10
    """Clusters of a level's codewords, equally large; never so many that one would have a lone codeword."""
    recluster_every: Count = 50
    """Steps between clusterings of the codewords."""
    restart_after: CountOrNone = 50
    """Steps after which an unused codeword becomes a point of the batch; 0: never."""
    sinkhorn_epsilon: NotNegative = 0.003
    """Above 0: while training, the last level is assigned in balance with this temperature."""
    sample: Count = 20_480
    """Items, drawn by the seed, whose residuals' k-means the codebooks start from."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_autoencoder(self)

    @property
    def collaborative_width(self) -> int:
        return self.widths[-1] if self.alignment_weight else 0

    def build(self, width: int) -> "LETTER":
        return LETTER(self, width)


class LETTER(LearnedTokenizer):
    """An RQ-VAE of the standardised vectors, and the clusters of its codewords."""

    clusters: Int[Tensor, "L K"]
    steps: Int[Tensor, ""]

    def __init__(self, config: Config, width: int) -> None:
        super().__init__(width)
        self.config = config
        self.autoencoder = RQVAE(config, width)
        self.register_buffer("clusters", torch.zeros(config.num_levels, config.codebook_size, dtype=torch.long))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def latent(self, standard: Float[Tensor, "n D"]) -> Float[Tensor, "n d"]:
        return self.autoencoder.latent(standard)

    def restore(self, latents: Float[Tensor, "n d"]) -> Float[Tensor, "n D"]:
        return self.autoencoder.restore(latents)

    def rename(self, names: Sequence[Int[Tensor, " _"]]) -> None:
        self.autoencoder.rename(names)

    def portable(self) -> Portable:
        return self.autoencoder.portable()

    def lookup(self, codes: Int[Tensor, "n l"]) -> Float[Tensor, "n d"]:
        return self.autoencoder.lookup(codes)

    def distances(self, latents: Float[Tensor, "n d"], prefix: Int[Tensor, "n l"]) -> Float[Tensor, "n K"]:
        return self.autoencoder.distances(latents, prefix)

    def complete(self, latents: Float[Tensor, "n d"], prefix: Int[Tensor, "n l"]) -> Int[Tensor, "n L"]:
        return self.autoencoder.complete(latents, prefix)

    def start(self, vectors: Float[Tensor, "n D"], seed: int) -> None:
        self.autoencoder.on_round = self.on_round
        self.autoencoder.start(self.standardise(vectors), seed)

    def loss(self, batch: Batch, peers: Peers) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """L_RQVAE + alpha L_CF + beta L_Div (LETTER, 3.2.4), L_Div a mean over levels."""
        step = self.autoencoder.step(self.standardise(batch.vectors), peers)
        loss, shown = step.loss, dict(step.shown)
        with torch.autocast(loss.device.type, enabled=False):
            if self.config.alignment_weight:
                alignment = self._alignment(step.quantized, batch.collaborative, peers)
                loss = loss + self.config.alignment_weight * alignment
                shown["alignment"] = alignment.detach()
            if self.config.diversity_weight:
                diversity = self._diversity(step.codes)
                loss = loss + self.config.diversity_weight * diversity
                shown["diversity"] = diversity.detach()
        return loss, shown

    def _alignment(
        self, quantized: Float[Tensor, "n d"], collaborative: Float[Tensor, "n d"] | None, peers: Peers
    ) -> Float[Tensor, ""]:
        if collaborative is None:
            raise ConfigError(
                f"letter: alignment_weight {self.config.alignment_weight} needs collaborative vectors of "
                "the batch's items, none were given; give them or set alignment_weight=0"
            )
        everyones = peers.all_gather(collaborative)
        own = peers.rank * len(quantized) + torch.arange(len(quantized), device=quantized.device)
        return alignment_loss(quantized, everyones, own, everyones.any(1))

    def _diversity(self, codes: Int[Tensor, "B L"]) -> Float[Tensor, ""]:
        if int(self.steps) % self.config.recluster_every == 0:
            self._recluster()
        self.steps += 1
        size = self.config.codebook_size
        usage = torch.stack([column.bincount(minlength=size) for column in codes.T]) / len(codes)
        levels = zip(self.autoencoder.codebooks, self.clusters, usage, strict=True)
        return torch.stack([diversity_loss(*level) for level in levels]).mean()

    @torch.no_grad()
    def _recluster(self) -> None:
        """A function of the codebooks, which are equal on all workers."""
        number = min(self.config.num_clusters, self.config.codebook_size // 2)
        for level, codebook in enumerate(self.autoencoder.codebooks):
            self.clusters[level] = balanced_kmeans(codebook, number, seed=level, iterations=10)[1]
