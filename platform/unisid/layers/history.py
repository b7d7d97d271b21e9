"""Features of items from the history alone: which it holds, how long ago and how often.

P positions, T items before each, D width.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unisid.ops.padding import PAD

QUICK = 20.0
"""Factor on the repeat term's tables, so that a step of Adam moves them by so many times its rate."""
LATELY, OLDEST = 0.6, 100
"""Weight of an item that was taken, relative to one that was taken one place later, up to so many places."""
HIGHEST = 8.0
"""Of a repeat term's value, so that e to its power stays exact in sums."""


class Seen:
    """The items before P positions, the latest first."""

    def __init__(self, before: Int[Tensor, "P T"]) -> None:
        same = (before[:, :, None] == before[:, None, :]) & (before != PAD)[:, :, None]
        self.items, self.times = before.clamp_min(0), same.sum(2).clamp_max(3)
        self.real = (before != PAD) & ~same.tril(-1).any(2)  # an item that came again counts at its latest place
        self.before = before


def latest_first(rows: Int[Tensor, "P T"], last: Int[Tensor, " P"]) -> Int[Tensor, "P T"]:
    """The entries of every row up to place `last`, the latest first, PAD after the earliest."""
    back = last[:, None] - torch.arange(rows.shape[1], device=rows.device)
    return torch.where(back >= 0, rows.gather(1, back.clamp_min(0)), PAD)


def seen_in_windows(windows: Int[Tensor, "B T"], targeted: Bool[Tensor, "B T"]) -> Seen:
    """The items up to every place of a window that has a target, window by window."""
    length = windows.shape[1]
    rows = windows.repeat_interleave(length, 0)
    before = latest_first(rows, torch.arange(length, device=windows.device).repeat(len(windows)))
    return Seen(before[targeted.flatten()])


def at_end(histories: Int[Tensor, "B T"], targets: Int[Tensor, " B"]) -> Int[Tensor, "B T"]:
    """Every history's one target at the place of its last item, PAD elsewhere: a window with a single target."""
    last = (histories != PAD).sum(1, keepdim=True) - 1
    return torch.full_like(histories, PAD).scatter(1, last, targets[:, None])


def seen_at_end(past: Int[Tensor, "B E"], longest: int) -> Seen:
    """The latest items of each row, at most `longest`."""
    return Seen(latest_first(past, (past != PAD).sum(1) - 1)[:, :longest])


def taken_of_all(before: Int[Tensor, "P T"], num_items: int) -> tuple[Float[Tensor, "P N"], Float[Tensor, "P N"]]:
    """Of every item: 1 where it was taken, and how lately, `LATELY`^age; 0 elsewhere."""
    column = torch.where(before == PAD, num_items, before)
    empty = torch.zeros(len(before), num_items + 1, device=before.device)
    found = empty.scatter_reduce(1, column, LATELY ** _ages(before), "amax")[:, :-1]
    return (found > 0).float(), found


def taken_of_some(
    before: Int[Tensor, "P T"], items: Int[Tensor, "P C"]
) -> tuple[Float[Tensor, "P C"], Float[Tensor, "P C"]]:
    """The same of some items."""
    found = ((items[:, :, None] == before[:, None, :]) * LATELY ** _ages(before)[:, None, :]).amax(2)
    return (found > 0).float(), found


def _ages(before: Int[Tensor, "P T"]) -> Float[Tensor, "P T"]:
    """Places since each was taken; where powers of `LATELY` would round to 0, no more than that allows."""
    return torch.arange(before.shape[1], device=before.device, dtype=torch.float32).clamp_max(OLDEST).expand_as(before)


class Repeat(nn.Module):
    """b of every item of a history: learned by age, by how often it was taken, and from the state."""

    longest: Tensor

    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        self.age, self.times = nn.Parameter(torch.zeros(length)), nn.Parameter(torch.zeros(4))
        self.state = _zero(nn.Linear(width, 1))
        # places that training shows: an item that was taken before them counts as taken at the earliest of them
        self.register_buffer("longest", torch.tensor(length))

    def forward(self, states: Float[Tensor, "P D"], seen: Seen) -> Float[Tensor, "P T"]:
        """b of every distinct item, 0 elsewhere."""
        place = torch.arange(seen.items.shape[1], device=seen.items.device).minimum(self.longest - 1)
        value = QUICK * (self.age[place] + self.times[seen.times]) + self.state(states)
        return torch.where(seen.real, value.clamp_max(HIGHEST), 0.0)


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
