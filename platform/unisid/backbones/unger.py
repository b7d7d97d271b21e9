"""UNGER, stage II: TIGER with a summary token that is drawn to the target's fused vector (arXiv 2502.06269, 3.4).

    decoder reads [start, c_1 .. c_L, summary]          h: the last state, scaled to length one and mapped to W
    L_IKD = -log( exp(s(h, e_y)) / (exp(s(h, e_y)) + sum over drawn items n of exp(s(h, e_n))) ),   s = cos / tau
    L = L_gen + beta L_IKD

The decoder is causal, so the summary token, which stands behind the codes, changes none of their logits; a search never
reads it. The fused vectors are fixed. B samples, T history tokens, L levels, D width, W width of the vectors, K items
drawn, V vocabulary entries.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from unisid.artifacts.vectors import check_nouns
from unisid.backbones import BackboneConfig, Batch, Index, TokenBackbone, draw_items, tiger
from unisid.bounds import Count, NotNegative, Positive
from unisid.errors import ArtifactError
from unisid.layers.transformer import SPREAD
from unisid.ops.contrast import drawn_info_nce


@dataclass(frozen=True, kw_only=True)
class Config(BackboneConfig):
    """TIGER of the paper's size, and the distillation."""

    decoder: tiger.Config = field(
        default_factory=lambda: tiger.Config(
            width=96,
            num_heads=6,
            head_width=16,
            feedforward_width=256,
            num_encoder_layers=1,
            num_decoder_layers=4,
            dropout=0.0,
        )
    )
    """The encoder and decoder; its training settings count too."""
    distillation_weight: NotNegative = 1.0
    """beta. 0: TIGER alone, and no vectors are read."""
    temperature: Positive = 0.3
    """tau of the distillation; the paper names none, this is that of EAGER's code."""
    num_negatives: Count = 2048
    """K, items beside the target, drawn anew in every step; all items where they are no more than so many."""
    towards: str = "fused"
    """What the target's vector is taken from: fused, embeddings or graph."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_nouns("unger.towards", (self.towards,))

    def build(self, index: Index) -> "Unger":
        return Unger(self, index)

    def rebuild(self, index: Index, files: Mapping[str, bytes]) -> "Unger":
        """Without what training alone needs."""
        return Unger(replace(self, distillation_weight=0.0), index)

    def vectors(self) -> tuple[str, ...]:
        return (self.towards,) if self.distillation_weight else ()


class Unger(TokenBackbone):
    """TIGER, its summary token and the map from its state to an item's vector."""

    def __init__(self, config: Config, index: Index) -> None:
        super().__init__()
        self.config, self.tiger = config, tiger.Tiger(config.decoder, index.sizes)
        self.level_starts = self.tiger.level_starts
        if config.distillation_weight:
            width = config.decoder.width
            self.summary = nn.Parameter(torch.randn(width) * SPREAD)
            self.project = nn.Linear(width, vectors_of(index, config.towards).shape[1])

    def loss(self, batch: Batch, index: Index) -> Float[Tensor, ""]:
        histories, targets = index.tokens(batch.histories).flatten(1), index.tokens(batch.targets)
        if not self.config.distillation_weight:
            return self.tiger.token_loss(histories, targets)
        loss, state = self.tiger.summarised(self.tiger.memory_of(histories), targets, self.summary)
        distilled = self.distillation(state, batch.targets, vectors_of(index, self.config.towards))
        return loss + self.config.distillation_weight * distilled

    def distillation(
        self, state: Float[Tensor, "B D"], targets: Int[Tensor, " B"], vectors: Float[Tensor, "N W"]
    ) -> Float[Tensor, ""]:
        """L_IKD, the mean over samples; no negative is its row's target."""
        found = self.project(functional.normalize(state.float(), dim=-1))
        drawn = self.negatives(len(vectors), vectors.device)
        return drawn_info_nce(found, vectors, targets, drawn, self.config.temperature)

    def negatives(self, num_items: int, device: torch.device) -> Int[Tensor, " K"]:
        """Items drawn for a step."""
        return draw_items(num_items, self.config.num_negatives, device)

    def weights(self) -> dict[str, Tensor]:
        """TIGER's: the summary token and its map serve training alone."""
        return self.tiger.weights()

    def load(self, weights: Mapping[str, Tensor], index: Index) -> None:
        self.tiger.load(weights, index)

    def token_log_probs(self, histories: Int[Tensor, "B T"], targets: Int[Tensor, "B L"]) -> Float[Tensor, "B L"]:
        return self.tiger.token_log_probs(histories, targets)

    def token_loss(self, histories: Int[Tensor, "B T"], targets: Int[Tensor, "B L"]) -> Float[Tensor, ""]:
        return self.tiger.token_loss(histories, targets)

    def start(self, prompts: Int[Tensor, "B T"]) -> tuple[Any, Float[Tensor, "B 1 D"]]:
        return self.tiger.start(prompts)

    def step(
        self, state: Any, tokens: Int[Tensor, "B K"], parents: Int[Tensor, "B K"]
    ) -> tuple[Any, Float[Tensor, "B K D"]]:
        return self.tiger.step(state, tokens, parents)

    def logits(self, hidden: Float[Tensor, "B K D"], entries: slice) -> Float[Tensor, "B K V"]:
        return self.tiger.logits(hidden, entries)


def vectors_of(index: Index, noun: str) -> Float[Tensor, "N W"]:
    """The items' vectors of a noun; raises ArtifactError where the index comes without them."""
    if noun not in index.vectors:
        raise ArtifactError(f"unger: the index comes without {noun} vectors; they lie beside it in the recipe's store")
    return index.vectors[noun]
