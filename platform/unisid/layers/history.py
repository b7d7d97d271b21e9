"""What the history says of items by itself: which it holds, how long ago and how often, and what a memory recalls.

P positions, T items before each, J recalled items, D width.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

PAD = -1
QUICK = 20.0
"""Factor on the repeat term's tables, so that a step of Adam moves them by so many times its rate."""
HIGHEST = 8.0
"""Of a repeat term's value, so that e to its power stays exact in sums."""


class Seen:
    """What stands before P positions: the history's items, the latest first, and what the memory recalls."""

    def __init__(self, before: Int[Tensor, "P T"], known: Int[Tensor, "P J"], mass: Float[Tensor, "P J"]) -> None:
        same = (before[:, :, None] == before[:, None, :]) & (before != PAD)[:, :, None]
        self.items, self.times = before.clamp_min(0), same.sum(2).clamp_max(3)
        self.real = (before != PAD) & ~same.tril(-1).any(2)  # an item that came again counts at its latest place
        self.before, self.known, self.mass = before, known, mass


class Repeat(nn.Module):
    """b of every item of a history: learned by age, by how often it was taken, and from the state."""

    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        self.age, self.times = nn.Parameter(torch.zeros(length)), nn.Parameter(torch.zeros(4))
        self.state = _zero(nn.Linear(width, 1))

    def forward(self, states: Float[Tensor, "P D"], seen: Seen) -> Float[Tensor, "P T"]:
        """b of every distinct item, 0 elsewhere."""
        value = QUICK * (self.age[: seen.items.shape[1]] + self.times[seen.times]) + self.state(states)
        return torch.where(seen.real, value.clamp_max(HIGHEST), 0.0)


class Trust(nn.Module):
    """trust(h) * log(1 + mass / eps): learned from a state, for each of some heads."""

    def __init__(self, width: int, heads: int, eps: float) -> None:
        super().__init__()
        self.state = _zero(nn.Linear(width, heads), 0.3)
        self.eps = nn.Parameter(torch.full((heads,), math.log(eps)))

    def forward(self, states: Float[Tensor, "P D"], head: int) -> tuple[Float[Tensor, " P"], Float[Tensor, ""]]:
        """The trust after every state, and eps."""
        return self.state(states)[:, head], self.eps[head].exp()


def _zero(layer: nn.Linear, bias: float = 0.0) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, bias)
    return layer
