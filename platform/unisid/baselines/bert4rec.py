"""BERT4Rec: a transformer that sees both ways and learns to fill gaps; the next item is a gap at the end.

    x_t = sqrt(D) e(i_t) + p_t, e(gap) where the item is hidden, t counted from the end        h = blocks(x)
    s_j = <norm(GELU(W norm(h_gap) + b)), e(j)>

Sun et al., 2019. A window whose items all stay by chance has its last one hidden. B rows, T items, D width, N items.
"""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unisid.artifacts.catalog import Catalog
from unisid.baselines import Histories
from unisid.baselines.parts.learned import PAD, LearnedBaseline, Windows, dot_all, labelled_loss
from unisid.baselines.parts.sequential import SequentialConfig
from unisid.bounds import Layers, Range, ShareBelowOne, Width
from unisid.errors import ConfigError
from unisid.layers.transformer import Block, start
from unisid.ops.dropout import dropout
from unisid.ops.padding import padded

GAPS = 2
"""The stream that gaps are drawn from."""


@dataclass(frozen=True, kw_only=True)
class Config(SequentialConfig):
    """The transformer and its gaps."""

    num_layers: Layers = 2
    """Blocks of attention and feed-forward."""
    num_heads: Layers = 2
    """Of attention."""
    feedforward_width: Width = 256
    """Of the layer inside each feed-forward part."""
    dropout: ShareBelowOne = 0.2
    """Of embeddings, attention and what each part adds."""
    norm_first: bool = True
    """Normalise what goes into each part; else what comes out of it, as the paper does."""
    gaps: Annotated[float, Range(0, 1, above=True, below=True)] = 0.3
    """The share of items that are hidden; more for short sequences."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.num_heads:
            raise ConfigError(f"bert4rec: width {self.width} over {self.num_heads} heads; must divide evenly")

    def model(self, catalog: Catalog) -> "Bert4Rec":
        return Bert4Rec(self, catalog.num_items, catalog.history_length + 1)


class Bert4Rec(LearnedBaseline):
    """The mask is an entry after the last item; it is read, never predicted."""

    def __init__(self, config: Config, num_items: int, max_length: int) -> None:
        super().__init__()
        self.config, self.gap = config, num_items
        self.items = nn.Embedding(num_items + 1, config.width)
        self.positions = nn.Embedding(max_length, config.width)
        self.blocks = nn.ModuleList(
            Block(config.width, config.num_heads, config.feedforward_width, config.dropout, config.norm_first)
            for _ in range(config.num_layers)
        )
        width = config.width
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        start(self)

    def states(self, entries: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """The hidden state at every place; it attends to all items and gaps of the row, not to PAD."""
        vectors = self.items(entries.clamp(min=0)) * math.sqrt(self.config.width)
        places = torch.arange(entries.shape[1], device=entries.device)
        from_end = (entries != PAD).sum(1, keepdim=True) - 1 - places
        vectors = vectors + self.positions(from_end.clamp(min=0))
        states = dropout(vectors, self.config.dropout if self.training else 0.0)
        hidden = (entries == PAD)[:, None, None, :]
        for block in self.blocks:
            states = block(states, hidden)
        found: Tensor = self.out(states)
        return found

    def hide(self, windows: Windows) -> Bool[Tensor, "B T"]:
        """Where the step's draws make gaps: at least one in every row."""
        real = windows.items != PAD
        gaps = (windows.draws(windows.items.shape[1], stream=GAPS) < self.config.gaps) & real
        places = torch.arange(real.shape[1], device=real.device)
        last = places == real.sum(1, keepdim=True) - 1
        return gaps | (last & ~gaps.any(1, keepdim=True))

    def loss(self, windows: Windows) -> Float[Tensor, ""]:
        gaps = self.hide(windows)
        states = self.states(windows.items.masked_fill(gaps, self.gap))
        labels, config = windows.items.masked_fill(~gaps, PAD), self.config
        return labelled_loss(states, labels, self.items.weight[:-1], windows, config.loss, config.num_negatives)

    def count(self, windows: Windows) -> int:
        return int(self.hide(windows).sum())

    def answer(self, histories: Histories) -> Float[Tensor, "B N"]:
        device = self.items.weight.device
        ends = np.cumsum(histories.lengths)
        entries = padded(np.insert(histories.items, ends, self.gap), histories.lengths + 1).to(device)
        last = torch.from_numpy(histories.lengths).to(device)
        states = self.states(entries)[torch.arange(len(last), device=device), last]
        return dot_all(states, self.items.weight[:-1])
