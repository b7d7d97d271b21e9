"""RQ-VAE: an autoencoder whose latent vector is residually quantized (Lee et al. 2022; TIGER; UQF thesis, 3.3).

n rows of this worker, B rows of the global batch, D width of the vectors, d latent width, L levels, K codes.
"""

import itertools
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from unisid.bounds import Count, CountOrNone, NotNegative, Width
from unisid.errors import ConfigError
from unisid.ops.kmeans import residual_kmeans
from unisid.ops.residual import lookup, nearest, quantization_loss, squared_distances, straight_through
from unisid.ops.sinkhorn import balanced_codes
from unisid.tokenizers import Batch, CodebookSize, LearnedTokenizer, Levels, Peers, Portable, TokenizerConfig


@dataclass(frozen=True, kw_only=True)
class Config(TokenizerConfig):
    """RQ-VAE with k-means start, dead-code restart and optional balanced assignment."""

    num_levels: Levels = 3
    """Codes of a semantic id."""
    codebook_size: CodebookSize = 256
    """Codewords of each level."""
    widths: tuple[Width, ...] = (2048, 1024, 512, 256, 128, 64, 32)
    """Widths of the encoder's layers after the input, the last is the codewords'; the decoder mirrors them."""
    beta: NotNegative = 0.25
    """Weight of the commitment: how strongly latents are drawn to their codewords (UQF thesis, 4.3.3)."""
    quantization_weight: NotNegative = 1.0
    """w_q: weight of the quantization loss beside the reconstruction, both means over dimensions."""
    restart_after: CountOrNone = 50
    """Steps after which an unused codeword becomes a point of the batch; 0: never."""
    sinkhorn_epsilon: NotNegative = 0.0
    """Above 0: while training, the last level is assigned in balance with this temperature (LC-Rec: 0.003)."""
    sample: Count = 20_480
    """Items, drawn by the seed, whose residuals' k-means the codebooks start from."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_autoencoder(self)

    def build(self, width: int) -> "RQVAE":
        return RQVAE(self, width)


@runtime_checkable
class Shape(Protocol):
    """Settings that an autoencoder with codebooks is built from."""

    @property
    def num_levels(self) -> int: ...
    @property
    def codebook_size(self) -> int: ...
    @property
    def widths(self) -> tuple[int, ...]: ...


@runtime_checkable
class Settings(Shape, Protocol):
    """Settings that the autoencoder reads; `Config` documents each."""

    @property
    def kind(self) -> str: ...
    @property
    def beta(self) -> float: ...
    @property
    def quantization_weight(self) -> float: ...
    @property
    def restart_after(self) -> int: ...
    @property
    def sinkhorn_epsilon(self) -> float: ...


def check_autoencoder(config: Settings) -> None:
    """Raises ConfigError for widths or weights that cannot be."""
    if not config.widths:
        raise ConfigError(
            f"{config.kind}: widths {config.widths}; must name at least the codewords' width, such as (32,)"
        )


@dataclass(frozen=True)
class Step:
    """One step's loss, and what it came by."""

    codes: Int[Tensor, "B L"]
    """Of the global batch."""
    quantized: Float[Tensor, "n d"]
    """Of this worker's share; its gradient is the latents'."""
    loss: Float[Tensor, ""]
    shown: dict[str, Tensor]


class Autoencoder(LearnedTokenizer):
    """An autoencoder, and a codebook a level that starts from residual k-means of its latent vectors."""

    def __init__(self, config: Shape, width: int) -> None:
        super().__init__(width)
        self.encoder = perceptron((width, *config.widths))
        self.decoder = perceptron((*reversed(config.widths), width))
        self.codebooks = nn.Parameter(torch.zeros(config.num_levels, config.codebook_size, config.widths[-1]))

    def latent(self, standard: Float[Tensor, "n D"]) -> Float[Tensor, "n d"]:
        latents: Tensor = self.encoder(standard)
        return latents.float()

    def restore(self, latents: Float[Tensor, "n d"]) -> Float[Tensor, "n D"]:
        restored: Tensor = self.decoder(latents)
        return restored.float()

    def portable(self) -> Portable:
        layers = [(layer.weight, layer.bias) for layer in self.encoder if isinstance(layer, nn.Linear)]
        return Portable("residual", self.codebooks, layers)

    @torch.no_grad()
    def start(self, vectors: Float[Tensor, "n D"], seed: int) -> None:
        latents = self.latent(self.standardise(vectors))
        self.codebooks.copy_(residual_kmeans(latents, *self.codebooks.shape[:2], seed=seed, on_round=self.on_round))


class RQVAE(Autoencoder):
    """The autoencoder, its codebooks, and for how many steps each codeword has been idle."""

    idle: Int[Tensor, "L K"]

    def __init__(self, config: Settings, width: int) -> None:
        super().__init__(config, width)
        self.config = config
        self.register_buffer("idle", torch.zeros(config.num_levels, config.codebook_size, dtype=torch.long))

    def loss(self, batch: Batch, peers: Peers) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """|xhat - x|^2 + w_q sum_m (|sg r - e|^2 + beta |r - sg e|^2) (UQF thesis, 3.3)."""
        step = self.step(batch.vectors, peers)
        return step.loss, step.shown

    def step(self, vectors: Float[Tensor, "n D"], peers: Peers) -> Step:
        """The loss and what it came by.

        Every worker assigns the whole global batch, so all agree on which codewords are idle and where they restart.
        """
        standard = self.standardise(vectors)
        latents = self.latent(standard)
        first = peers.rank * len(latents)
        # Distances are differences of large numbers: bfloat16 would choose wrong codewords.
        with torch.autocast(latents.device.type, enabled=False):
            everyones = self._settle(peers.all_gather(latents.detach()))
            codes = everyones[first : first + len(latents)]
            quantized = lookup(codes, self.codebooks)
            quantization = quantization_loss(latents, self.codebooks, codes, self.config.beta)
        quantized = straight_through(latents, quantized)
        reconstruction = F.mse_loss(self.restore(quantized), standard)
        loss = reconstruction + self.config.quantization_weight * quantization
        shown = {"reconstruction": reconstruction.detach(), "quantization": quantization.detach()}
        return Step(everyones, quantized, loss, shown)

    @torch.no_grad()
    def _settle(self, latents: Float[Tensor, "B d"]) -> Int[Tensor, "B L"]:
        """Codes of the global batch; codewords that have been idle too long move to points of it.

        A codeword that restarts is used by no item of this batch, so the codes found before stay the nearest.
        """
        codes = []
        residual = latents
        for level, codebook in enumerate(self.codebooks):
            balanced = self.config.sinkhorn_epsilon > 0 and level == len(self.codebooks) - 1
            code = (
                balanced_codes(squared_distances(residual, codebook), self.config.sinkhorn_epsilon)
                if balanced
                else nearest(residual, codebook)
            )
            chosen = codebook[code]
            if self.config.restart_after:
                self._restart(level, code, residual)
            residual = residual - chosen
            codes.append(code)
        return torch.stack(codes, 1)

    def _restart(self, level: int, code: Int[Tensor, " B"], residual: Float[Tensor, "B d"]) -> None:
        idle = (self.idle[level] + 1).index_fill(0, code, 0)
        dead = idle >= self.config.restart_after
        # The batch comes shuffled: its first rows are a random sample, and the same one on every worker.
        points = residual[torch.arange(len(idle), device=residual.device) % len(residual)]
        self.codebooks[level] = torch.where(dead[:, None], points, self.codebooks[level])
        self.idle[level] = idle.masked_fill(dead, 0)


def perceptron(widths: tuple[int, ...]) -> nn.Sequential:
    """Linear layers with ReLU between. Glorot's start, as in LC-Rec, gives small first latents."""
    layers: list[nn.Module] = []
    for inner, outer in itertools.pairwise(widths):
        linear = nn.Linear(inner, outer)
        nn.init.xavier_normal_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])
