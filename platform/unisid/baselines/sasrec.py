"""SASRec: a causal transformer over the history's items, whose last state is compared with every item's vector.

    x_t = sqrt(D) e(i_t) + p_t, t counted from the history's first item        h = blocks(x)        s_j = <h_T, e(j)>

Kang and McAuley, 2018. Which loss it learns with moves its results more than most of its successors do: with the
cross-entropy over all items it is far above the paper's own (FIELD: the rows that papers print are the weak ones).
B rows, T items, H heads, D width, N items.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unisid.artifacts.catalog import Catalog
from unisid.baselines import Histories
from unisid.baselines.learned import (
    PAD,
    LearnedBaseline,
    LearnedConfig,
    Windows,
    count_next,
    dot_all,
    last_states,
    next_items,
)
from unisid.errors import ConfigError
from unisid.ops.dropout import dropout
from unisid.ops.next_item import binary_loss, sampled_softmax_loss, softmax_loss, unknown_items

SPREAD = 0.02
"""Standard deviation of the first weights."""


@dataclass(frozen=True, kw_only=True)
class Config(LearnedConfig):
    """The transformer and its loss. How far back it reads, the catalog's `history_length` says."""

    width: int = 64
    """D: of an item's vector and of every state."""
    num_layers: int = 2
    """Blocks of attention and feed-forward."""
    num_heads: int = 2
    """H."""
    feedforward_width: int = 256
    """Of the layer inside each feed-forward part; the paper's is `width`."""
    dropout: float = 0.5
    """Of embeddings, attention and what each part adds; less where users are many or long."""
    norm_first: bool = True
    """Normalise what goes into each part; else what comes out of it."""
    loss: Literal["ce", "bce", "sampled"] = "ce"
    """ce: softmax over all items; sampled: over `num_negatives` of them, for large catalogues; bce: the paper's."""
    num_negatives: int = 1024
    """Of `sampled`: drawn uniformly and shared by a whole step."""

    def __post_init__(self) -> None:
        counts = (self.width, self.num_layers, self.num_heads, self.feedforward_width, self.num_negatives)
        if min(counts) < 1:
            raise ConfigError("sasrec: width {}, num_layers {}, num_heads {}, feedforward_width {}, num_negatives {}: "
                              "must all be positive".format(*counts))  # fmt: skip
        if self.width % self.num_heads:
            raise ConfigError(f"sasrec: width {self.width} over {self.num_heads} heads; must divide evenly")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"sasrec.dropout: is {self.dropout}; must be at least 0 and below 1")

    def build(self, catalog: Catalog) -> "SasRec":
        if self.loss == "bce" and catalog.num_items <= catalog.history_length + 1:
            raise ConfigError(f"sasrec.loss: bce needs an item that a window of {catalog.history_length + 1} does not "
                              f"hold, of {catalog.num_items}; choose ce")  # fmt: skip
        return SasRec(self, catalog.num_items, catalog.history_length)


class Block(nn.Module):
    """Causal attention, then a feed-forward part, each added to what came in."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.num_heads, self.rate, self.norm_first = config.num_heads, config.dropout, config.norm_first
        self.norms = nn.ModuleList([nn.LayerNorm(config.width) for _ in range(2)])
        self.joint = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.feedforward = nn.Sequential(
            nn.Linear(config.width, config.feedforward_width),
            nn.ReLU(),
            nn.Linear(config.feedforward_width, config.width),
        )

    def forward(self, states: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        parts: tuple[Callable[[Tensor], Tensor], ...] = (self.attend, self.feedforward)
        for norm, part in zip(self.norms, parts, strict=True):
            added = part(norm(states)) if self.norm_first else part(states)
            states = states + self.drop(added)
            states = states if self.norm_first else norm(states)
        return states

    def attend(self, states: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """softmax(Q K' / sqrt(D / H), none later) V, by head."""
        rows, length, width = states.shape
        heads = self.joint(states).view(rows, length, 3, self.num_heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-1, -2) / math.sqrt(width / self.num_heads)
        later = torch.ones(length, length, dtype=torch.bool, device=states.device).triu(1)
        weights = self.drop(scores.masked_fill(later, -torch.inf).softmax(-1))
        return self.out((weights @ value).transpose(1, 2).reshape(rows, length, width))

    def drop(self, values: Tensor) -> Tensor:
        return dropout(values, self.rate if self.training else 0.0)


class SasRec(LearnedBaseline):
    """What is filled up stands after every real item, and attention looks back only: it needs no mask."""

    def __init__(self, config: Config, num_items: int, max_length: int) -> None:
        super().__init__()
        self.config = config
        self.items = nn.Embedding(num_items, config.width)
        self.positions = nn.Embedding(max_length, config.width)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.num_layers)])
        self.norm = nn.LayerNorm(config.width)
        for name, parameter in self.named_parameters():
            if "norm" not in name:
                nn.init.zeros_(parameter) if name.endswith("bias") else nn.init.normal_(parameter, std=SPREAD)

    def states(self, items: Int[Tensor, "B T"], users: Int[Tensor, " B"]) -> Float[Tensor, "B T D"]:
        vectors = self.items(items.clamp(min=0)) * math.sqrt(self.config.width)
        vectors = vectors + self.positions.weight[: items.shape[1]]
        states = dropout(vectors, self.config.dropout if self.training else 0.0)
        for block in self.blocks:
            states = block(states)
        found: Tensor = self.norm(states)
        return found

    def loss(self, windows: Windows) -> Float[Tensor, ""]:
        read, following = next_items(windows)
        asked = following != PAD
        states, targets, items = self.states(read, windows.users)[asked], following[asked], self.items.weight
        if self.config.loss == "ce":
            return softmax_loss(states, items, targets)
        if self.config.loss == "sampled":
            draws = windows.shared_draws(self.config.num_negatives)
            return sampled_softmax_loss(states, items, targets, (draws * len(items)).long())
        negatives = unknown_items(windows.items, windows.draws(following.shape[1]), len(items))
        return binary_loss(states, items, targets, negatives[asked])

    def count(self, windows: Windows) -> int:
        return count_next(windows)

    @torch.no_grad()
    def scores(self, histories: Histories) -> Float[Tensor, "B N"]:
        return dot_all(last_states(self.states, histories, self.items.weight.device), self.items.weight)
