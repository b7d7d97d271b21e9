"""SASRec: a causal transformer over the history's items, whose last state is compared with every item's vector.

    x_t = sqrt(D) e(i_t) + p_t, t counted from the history's first item        h = blocks(x)        s_j = <h_T, e(j)>

Kang and McAuley, 2018. Which loss it learns with moves its results more than most of its successors do: with the
cross-entropy over all items it is far above the paper's own, which is the row that most papers print.
B rows, T items, D width, N items.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unisid.artifacts.catalog import Catalog
from unisid.baselines import Histories
from unisid.baselines.parts.learned import LearnedBaseline, Windows, count_next, next_item_loss, score_all
from unisid.baselines.parts.sequential import SequentialConfig
from unisid.bounds import Layers, Width
from unisid.errors import ConfigError
from unisid.layers.transformer import Block, start
from unisid.ops.dropout import dropout


@dataclass(frozen=True, kw_only=True)
class Config(SequentialConfig):
    """The transformer."""

    num_layers: Layers = 2
    """Blocks of attention and feed-forward."""
    num_heads: Layers = 2
    """Of attention."""
    feedforward_width: Width = 256
    """Of the layer inside each feed-forward part; the paper's is `width`."""
    norm_first: bool = True
    """Normalise what goes into each part; else what comes out of it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.num_heads:
            raise ConfigError(f"sasrec: width {self.width} over {self.num_heads} heads; must divide evenly")

    def model(self, catalog: Catalog) -> "SasRec":
        return SasRec(self, catalog.num_items, catalog.history_length)


class SasRec(LearnedBaseline):
    """What is filled up stands after every real item, and attention looks back only: it needs no mask."""

    def __init__(self, config: Config, num_items: int, max_length: int) -> None:
        super().__init__()
        self.config = config
        self.items = nn.Embedding(num_items, config.width)
        self.positions = nn.Embedding(max_length, config.width)
        self.blocks = nn.ModuleList(
            Block(config.width, config.num_heads, config.feedforward_width, config.dropout, config.norm_first)
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(config.width)
        start(self)

    def states(self, items: Int[Tensor, "B T"], users: Int[Tensor, " B"]) -> Float[Tensor, "B T D"]:
        vectors = self.items(items.clamp(min=0)) * math.sqrt(self.config.width)
        vectors = vectors + self.positions.weight[: items.shape[1]]
        states = dropout(vectors, self.config.dropout if self.training else 0.0)
        later = torch.ones(items.shape[1], items.shape[1], dtype=torch.bool, device=items.device).triu(1)
        for block in self.blocks:
            states = block(states, later)
        found: Tensor = self.norm(states)
        return found

    def loss(self, windows: Windows) -> Float[Tensor, ""]:
        config = self.config
        return next_item_loss(self.states, self.items.weight, windows, config.loss, config.num_negatives)

    def count(self, windows: Windows) -> int:
        return count_next(windows)

    def answer(self, histories: Histories) -> Float[Tensor, "B N"]:
        return score_all(self.states, self.items.weight, histories)
