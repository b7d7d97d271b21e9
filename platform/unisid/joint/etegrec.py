"""ETEGRec: tokenizer and recommender learn in turns, each from what the other makes of a sample (Liu et al. 2025).

The first epoch of a cycle is the tokenizer's, on which all ids are made anew; the others are the recommender's. Two
losses join them: what was read of a history and the target item are to have the same codes (SIA), and what the decoder
starts from is to find the target's vector made again from its codes (PSA). B samples, D width of item vectors, d of
codewords, L levels, K codes of a level.
"""

import contextlib
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unisid import tokenizers
from unisid.backbones import Batch, Index
from unisid.bounds import CountOrNone, NotNegative, Positive, Range
from unisid.joint import Joint, JointConfig, Pair, Parts, Peers, mean_state
from unisid.ops.contrast import info_nce_both_ways
from unisid.ops.residual import quantize, straight_through
from unisid.ops.soft import soft_residual, symmetric_kl
from unisid.tokenizers.rqvae import RQVAE, perceptron


@dataclass(frozen=True, kw_only=True)
class Config(JointConfig):
    """The cycle and its losses; the defaults are those of the released run on Scientific."""

    tokenizers: ClassVar[tuple[str, ...]] = ("rqvae",)

    tokenizer_rate: Positive = 1e-4
    """The tokenizer's learning rate in its turns."""
    cycle: Annotated[int, Range(2, 1000)] = 2
    """Epochs of a cycle: one of the tokenizer, then the recommender's."""
    alignment_weight: NotNegative = 1e-4
    """mu: of SIA."""
    preference_weight: NotNegative = 3e-4
    """lambda: of PSA."""
    contrast_temperature: Positive = 0.07
    """Of PSA."""
    code_temperature: Positive = 1.0
    """Of the distributions over codewords in SIA: squared distances are divided by it."""
    warm_epochs: CountOrNone = 10
    """Epochs before both alignments begin."""

    def build(self, pair: Pair) -> "Etegrec":
        return Etegrec(self, pair)


class Etegrec(Joint):
    """Tokenizer, recommender, and the two projections between them, which learn in the recommender's turns."""

    def __init__(self, config: Config, pair: Pair) -> None:
        super().__init__(pair)
        assert isinstance(pair.tokenizer, RQVAE)
        self.config, self.rqvae = config, pair.tokenizer
        width, target = pair.backbone.t5.config.d_model, self.vectors.shape[1]
        self.heads = nn.ModuleDict()
        if config.alignment_weight:
            self.heads["read"] = perceptron((width, width, target))
        if config.preference_weight:
            self.heads["predicted"] = perceptron((width, width, target))

    def tokenizers_turn(self, epoch: int) -> bool:
        """Whether an epoch is the tokenizer's."""
        return epoch % self.config.cycle == 0

    def shares(self, epoch: int) -> tuple[float, float]:
        return (1.0, 0.0) if self.tokenizers_turn(epoch) else (0.0, 1.0)

    def loss(self, batch: Batch, index: Index, peers: Peers, epoch: int) -> tuple[Float[Tensor, ""], Parts]:
        """L_SQ or L_rec, by whose turn it is, + mu SIA + lambda PSA."""
        turn = self.tokenizers_turn(epoch)
        tokens, targets = index.tokens(batch.histories).flatten(1), index.tokens(batch.targets)
        # In the tokenizer's turn the recommender is at rest, and hard ids have no way back to the tokenizer.
        with torch.no_grad() if turn else contextlib.nullcontext():
            memory, encoded = self.backbone.read(self.backbone.embed(tokens), tokens >= 0)
            states = self.backbone.target_states(memory, targets)
            read = {"read": mean_state(encoded, tokens >= 0), "predicted": states[:, 0]}
            sides = {name: head(read[name]) for name, head in self.heads.items()}
        if turn:
            loss, _ = self.rqvae.loss(tokenizers.Batch(self.vectors[batch.targets]), peers)
            shown = {"quantization": loss.detach()}
        else:
            loss = self.backbone.states_loss(states, targets)
            shown = {"recommendation": loss.detach()}
        due = float(epoch >= self.config.warm_epochs)
        for name, weight, value in self._aligned(sides, batch.targets, peers):
            loss, shown[name] = loss + due * weight * value, value.detach()
        return loss, shown

    def _aligned(
        self, sides: dict[str, Float[Tensor, "B _"]], targets: Int[Tensor, " B"], peers: Peers
    ) -> list[tuple[str, float, Float[Tensor, ""]]]:
        """Name, weight and value of both alignments."""
        config, latents, found = self.config, self.latents(targets), []
        if "read" in sides:
            kl = symmetric_kl(self._log_p(self.rqvae.latent(sides["read"])), self._log_p(latents))
            found.append(("alignment", config.alignment_weight, kl))
        if "predicted" in sides:
            quantized = self.rqvae.lookup(quantize(latents.detach(), self.rqvae.codebooks.detach()))
            made = self.rqvae.restore(straight_through(latents, quantized))
            start, contrast = peers.rank * len(targets), config.contrast_temperature
            found.append(
                (
                    "preference",
                    config.preference_weight,
                    info_nce_both_ways(sides["predicted"], made, targets, peers.all_gather, start, contrast),
                )
            )
        return found

    def _log_p(self, latents: Float[Tensor, "B d"]) -> Float[Tensor, "B L K"]:
        """log of each level's distribution over codewords: softmax of minus the squared distance."""
        books = self.rqvae.codebooks
        temperatures = books.new_full((len(books),), self.config.code_temperature)
        with torch.autocast(latents.device.type, enabled=False):
            return soft_residual(latents.float(), books, temperatures, "hard").log_p
