"""HSTU: SASRec's frame with pointwise aggregated attention, which weighs by strength instead of by share.

    U, V, Q, K = SiLU(W norm(X) + b)        A = SiLU(Q K' / sqrt(D / H) + r) / T, zero for what is later
    Y = X + W_o (norm(A V) * U) + b_o       r: a bias for every head and distance

Zhai et al., 2024 ("Actions speak louder than words"), without times of actions, which windows do not hold; T is the
longest history. B rows, T items, H heads, D width, N items.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from unisid.artifacts.catalog import Catalog
from unisid.baselines import Histories
from unisid.baselines.parts.learned import LearnedBaseline, Windows, count_next, next_item_loss, score_all
from unisid.baselines.parts.sequential import SequentialConfig
from unisid.bounds import Layers
from unisid.errors import ConfigError
from unisid.layers.transformer import join_heads, split_heads, start
from unisid.ops.dropout import dropout


@dataclass(frozen=True, kw_only=True)
class Config(SequentialConfig):
    """The layers."""

    num_layers: Layers = 2
    """Layers of attention; there are no feed-forward parts."""
    num_heads: Layers = 2
    """H."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.num_heads:
            raise ConfigError(f"hstu: width {self.width} over {self.num_heads} heads; must divide evenly")

    def model(self, catalog: Catalog) -> "Hstu":
        return Hstu(self, catalog.num_items, catalog.history_length)


class Layer(nn.Module):
    """One layer, as at the top."""

    def __init__(self, config: Config, max_length: int) -> None:
        super().__init__()
        self.num_heads, self.rate, self.max_length = config.num_heads, config.dropout, max_length
        self.norm, self.inner_norm = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.joint = nn.Linear(config.width, 4 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.distance = nn.Parameter(torch.zeros(config.num_heads, max_length))

    def forward(self, states: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        joint = functional.silu(self.joint(self.norm(states)))
        gate, value, query, key = split_heads(joint, 4, self.num_heads)
        places = torch.arange(states.shape[1], device=states.device)
        back = places[:, None] - places
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) + self.distance[:, back.clamp(min=0)]
        weights = functional.silu(scores).masked_fill(back < 0, 0.0) / self.max_length
        gated = self.inner_norm(join_heads(weights @ value)) * join_heads(gate)
        return states + self.out(dropout(gated, self.rate if self.training else 0.0))


class Hstu(LearnedBaseline):
    """What is filled up stands after every real item, and attention looks back only: it needs no mask."""

    def __init__(self, config: Config, num_items: int, max_length: int) -> None:
        super().__init__()
        self.config = config
        self.items = nn.Embedding(num_items, config.width)
        self.positions = nn.Embedding(max_length, config.width)
        self.layers = nn.ModuleList([Layer(config, max_length) for _ in range(config.num_layers)])
        self.norm = nn.LayerNorm(config.width)
        start(self)

    def states(self, items: Int[Tensor, "B T"], users: Int[Tensor, " B"]) -> Float[Tensor, "B T D"]:
        vectors = self.items(items.clamp(min=0)) * math.sqrt(self.config.width)
        vectors = vectors + self.positions.weight[: items.shape[1]]
        states = dropout(vectors, self.config.dropout if self.training else 0.0)
        for layer in self.layers:
            states = layer(states)
        found: Tensor = self.norm(states)
        return found

    def loss(self, windows: Windows) -> Float[Tensor, ""]:
        config = self.config
        return next_item_loss(self.states, self.items.weight, windows, config.loss, config.num_negatives)

    def count(self, windows: Windows) -> int:
        return count_next(windows)

    def answer(self, histories: Histories) -> Float[Tensor, "B N"]:
        return score_all(self.states, self.items.weight, histories)
