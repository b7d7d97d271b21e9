"""An autoencoder whose latent vector is quantized softly, and ever harder as it learns (UniGRec, stage 1).

n rows of this worker, D width of the vectors, d latent width, L levels, K codes, l levels already chosen.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from unisid.bounds import Count, NotNegative, Positive, Width
from unisid.errors import ConfigError
from unisid.ops.soft import Soft, median_distances, negative_entropy, soft_residual
from unisid.tokenizers import Batch, CodebookSize, Levels, Peers, Portable, Tokenizer, TokenizerConfig
from unisid.tokenizers.rqvae import Autoencoder


@dataclass(frozen=True, kw_only=True)
class Config(TokenizerConfig):
    """UniGRec's tokenizer; sizes and weights are the paper's, temperatures are ours."""

    num_levels: Levels = 3
    """Codes of a semantic id."""
    codebook_size: CodebookSize = 256
    """Codewords of each level."""
    widths: tuple[Width, ...] = (512, 256, 128, 64, 32)
    """Widths of the encoder's layers after the input, the last is the codewords'; the decoder mirrors them."""
    uniformity_weight: NotNegative = 1e-4
    """Of the negative entropy of each level's mean distribution over a batch, summed over levels (eq. 17)."""
    first_temperature: Positive = 1.0
    """tau at the first step; in units of `relative`."""
    last_temperature: Positive = 0.1
    """tau from step `anneal_steps` on, and wherever codes are read; in units of `relative`."""
    relative: bool = True
    """Temperatures are shares of the median squared distance to the nearest codeword, level by level, at the start;
    else they are absolute, as in the paper (0.01 to 0.001), and fit one scale of latent vectors only."""
    anneal_steps: Count = 10_000
    """Training steps over which the temperature falls, linearly."""
    sample: Count = 20_480
    """Items, drawn by the seed, whose residuals' k-means the codebooks start from."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.widths:
            raise ConfigError("soft: widths (); must name at least the codewords' width, such as (32,)")
        if self.last_temperature > self.first_temperature:
            raise ConfigError(
                f"soft: last_temperature {self.last_temperature} is above first_temperature "
                f"{self.first_temperature}; must be at most that"
            )

    def build(self, width: int) -> "SoftQuantizer":
        return SoftQuantizer(self, width)


class SoftQuantizer(Autoencoder):
    """The autoencoder, its codebooks, what temperatures are shares of, and how many steps it has learned for."""

    unit: Float[Tensor, " L"]
    steps: Int[Tensor, ""]

    def __init__(self, config: Config, width: int) -> None:
        super().__init__(config, width)
        self.config = config
        self.register_buffer("unit", torch.ones(config.num_levels))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def portable(self) -> Portable:
        return Tokenizer.portable(self)  # what a level takes away is its mean codeword, not the chosen one

    @torch.no_grad()
    def start(self, vectors: Float[Tensor, "n D"], seed: int) -> None:
        super().start(vectors, seed)
        if self.config.relative:
            self.unit.copy_(median_distances(self.latent(self.standardise(vectors)), self.codebooks))

    def temperatures(self) -> Float[Tensor, " L"]:
        """tau of the present step, by level: eq. 16."""
        first, last = self.config.first_temperature, self.config.last_temperature
        return self.unit * (first + (last - first) * (self.steps / self.config.anneal_steps).clamp(max=1.0))

    def last_temperatures(self) -> Float[Tensor, " L"]:
        """tau at which codes are read, by level."""
        return self.unit * self.config.last_temperature

    def soften(self, latents: Float[Tensor, "n d"], temperatures: Float[Tensor, " L"]) -> Soft:
        """Soft codes, in float32: differences of large numbers, divided by a small one."""
        with torch.autocast(latents.device.type, enabled=False):
            return soft_residual(latents.float(), self.codebooks, temperatures)

    def complete(self, latents: Float[Tensor, "n d"], prefix: Int[Tensor, "n l"]) -> Int[Tensor, "n L"]:
        """The likeliest codes after the prefix: each level takes its mean codeword away, as in training."""
        level = prefix.shape[1]
        if level == len(self.codebooks):
            return prefix
        rows, temperatures = latents - self.lookup(prefix), self.last_temperatures()[level:]
        return torch.cat([prefix, soft_residual(rows, self.codebooks[level:], temperatures).log_p.argmax(2)], 1)

    def loss(self, batch: Batch, peers: Peers) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """|xhat - x|^2 + w_u sum_l sum_k pbar log pbar, pbar the mean over the global batch (eq. 17 and 21)."""
        standard = self.standardise(batch.vectors)
        soft = self.soften(self.latent(standard), self.temperatures())
        reconstruction = F.mse_loss(self.restore(soft.quantized), standard)
        mean_p = peers.all_gather(soft.log_p.exp().mean(0, keepdim=True)).mean(0)
        uniformity = negative_entropy(mean_p)
        if self.training:
            self.steps += 1
        shown = {"reconstruction": reconstruction.detach(), "uniformity": uniformity.detach()}
        return reconstruction + self.config.uniformity_weight * uniformity, shown
