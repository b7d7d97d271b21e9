"""RQ-KMeans+: residual k-means that goes on as an autoencoder which begins as the identity (GPR; MiniOneRec).

z = x + f(x), f a perceptron whose last layer starts at zero: at the start z = x, and the codebooks, residual k-means of
the standardised vectors, fit exactly. n rows, D width, L levels, K codes.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unisid.bounds import Count, CountOrNone, NotNegative, Width
from unisid.tokenizers import CodebookSize, Levels, Portable, TokenizerConfig
from unisid.tokenizers.rqvae import RQVAE, check_autoencoder


@dataclass(frozen=True, kw_only=True)
class Config(TokenizerConfig):
    """Residual k-means, then gradient descent; sizes and weights are those of the open implementation."""

    num_levels: Levels = 3
    """Codes of a semantic id."""
    codebook_size: CodebookSize = 256
    """Codewords of each level."""
    widths: tuple[Width, ...] = (2048, 1024, 512, 256, 128, 64)
    """Hidden widths of f; the decoder mirrors them. Its input and output are as wide as the vectors."""
    beta: NotNegative = 0.25
    """Weight of the commitment: how strongly latents are drawn to their codewords."""
    quantization_weight: NotNegative = 1.0
    """Weight of the quantization loss beside the reconstruction, both means over dimensions."""
    restart_after: CountOrNone = 0
    """Steps after which an unused codeword becomes a point of the batch; 0: never."""
    sinkhorn_epsilon: NotNegative = 0.0
    """Above 0: while training, the last level is assigned in balance with this temperature."""
    sample: Count = 65_536
    """Items, drawn by the seed, whose residual k-means the codebooks start from."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_autoencoder(self)

    def build(self, width: int) -> "RQKMeansPlus":
        return RQKMeansPlus(self, width)


class RQKMeansPlus(RQVAE):
    """The autoencoder around residual k-means; its latent vectors are as wide as the vectors."""

    def __init__(self, config: Config, width: int) -> None:
        super().__init__(replace(config, widths=(*config.widths, width)), width)
        last = self.encoder[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)

    def latent(self, standard: Float[Tensor, "n D"]) -> Float[Tensor, "n D"]:
        return standard.float() + super().latent(standard)

    def portable(self) -> Portable:
        """x + f(x) as one perceptron: hidden units relu(x) and relu(-x) carry x to the last layer."""
        found: list[tuple[Tensor, Tensor]] = []
        width = len(self.mean)
        layers = [(layer.weight, layer.bias) for layer in self.encoder if isinstance(layer, nn.Linear)]
        for number, (weight, bias) in enumerate(layers):
            is_first, is_last = number == 0, number == len(layers) - 1
            both = torch.eye(width).repeat(2, 1)
            both[width:] *= -1
            carried = torch.eye(2 * width) if not is_first else both
            if is_last:
                carried = both.T if not is_first else torch.eye(width)
                found.append((torch.cat([weight, carried], 1) if not is_first else weight + carried, bias))
            else:
                joined = torch.cat([weight, carried]) if is_first else torch.block_diag(weight, carried)
                found.append((joined, torch.cat([bias, torch.zeros(2 * width)])))
        return Portable("residual", self.codebooks, found)
