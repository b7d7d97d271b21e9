"""The transformer block that recommenders over items are made of, and the weights it starts with.

B rows, T items, H heads, D width.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unisid.ops.dropout import dropout

SPREAD = 0.02
"""Standard deviation of the first weights."""


class Block(nn.Module):
    """Attention, then a feed-forward part, each added to what came in."""

    def __init__(self, width: int, num_heads: int, feedforward_width: int, rate: float, norm_first: bool) -> None:
        """`norm_first`: normalise what goes into each part; else what comes out of it."""
        super().__init__()
        self.num_heads, self.rate, self.norm_first = num_heads, rate, norm_first
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2)])
        self.joint = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, feedforward_width), nn.ReLU(), nn.Linear(feedforward_width, width)
        )

    def forward(self, states: Float[Tensor, "B T D"], hidden: Bool[Tensor, "*b t T"]) -> Float[Tensor, "B T D"]:
        """Row t of `hidden` says what is not seen from place t, or one row for all; it must not be everything."""
        parts: tuple[Callable[[Tensor], Tensor], ...] = (lambda values: self.attend(values, hidden), self.feedforward)
        for norm, part in zip(self.norms, parts, strict=True):
            added = part(norm(states)) if self.norm_first else part(states)
            states = states + self.drop(added)
            states = states if self.norm_first else norm(states)
        return states

    def attend(self, states: Float[Tensor, "B T D"], hidden: Bool[Tensor, "*b t T"]) -> Float[Tensor, "B T D"]:
        """softmax(Q K' / sqrt(D / H)) V over what is seen, by head."""
        query, key, value = split_heads(self.joint(states), 3, self.num_heads)
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        weights = self.drop(scores.masked_fill(hidden, -torch.inf).softmax(-1))
        return self.out(join_heads(weights @ value))

    def drop(self, values: Tensor) -> Tensor:
        return dropout(values, self.rate if self.training else 0.0)


def split_heads(joint: Float[Tensor, "B T W"], parts: int, num_heads: int) -> tuple[Tensor, ...]:
    """W = parts * H * size, side by side -> each part as [B, H, T, size]."""
    rows, length, width = joint.shape
    found = joint.view(rows, length, parts, num_heads, width // parts // num_heads).permute(2, 0, 3, 1, 4)
    return found.unbind(0)


def join_heads(values: Float[Tensor, "B H T s"]) -> Float[Tensor, "B T D"]:
    """The heads side by side."""
    rows, heads, length, size = values.shape
    return values.transpose(1, 2).reshape(rows, length, heads * size)


def start(model: nn.Module) -> None:
    """Draw all weights but those of norms from a narrow normal distribution; biases are zero."""
    norms = {id(p) for module in model.modules() if isinstance(module, nn.LayerNorm) for p in module.parameters()}
    for name, parameter in model.named_parameters():
        if id(parameter) not in norms:
            nn.init.zeros_(parameter) if name.endswith("bias") else nn.init.normal_(parameter, std=SPREAD)


class CausalTransformer(nn.Module):
    """Blocks over the places of a sequence, each seeing itself and what came before; the states are normalised.

    What is filled up must stand after every real place: then it needs no mask.
    """

    def __init__(
        self,
        width: int,
        num_layers: int,
        num_heads: int,
        feedforward_width: int,
        rate: float,
        length: int,
        norm_first: bool = True,
    ) -> None:
        super().__init__()
        self.rate = rate
        self.positions = nn.Embedding(length, width)
        self.blocks = nn.ModuleList(
            Block(width, num_heads, feedforward_width, rate, norm_first) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, vectors: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """x_t = sqrt(D) v_t + p_t, t counted from the first place; the states after the last block."""
        length, width = vectors.shape[1:]
        states = vectors * math.sqrt(width) + self.positions.weight[:length]
        states = dropout(states, self.rate if self.training else 0.0)
        later = torch.ones(length, length, dtype=torch.bool, device=vectors.device).triu(1)
        for block in self.blocks:
            states = block(states, later)
        found: Tensor = self.norm(states)
        return found
