"""Item-to-item transitions: counted once from training sequences, looked up for any history.

    S[a, b] = sum over pairs (a at place i, b at place j of one user's sequence), 1 <= |j - i| <= gap, of
              fade^(|j - i| - 1) * c(a) * c(b) * (1 where b came later, else backward)
    c(x) = (n_x + shrinkage)^-power

    mass(b | history) = sum over the history's latest items a of recency^age(a) * S[a, b]

n_x is how often x was taken. Of every item the M strongest transitions are kept. P positions, R latest items of a
history, M transitions an item, J items that are recalled, W places of a window, B windows, N items.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

PAD = -1


@dataclass(frozen=True, kw_only=True)
class Weights:
    """How much a pair of one user's items counts."""

    fade: float = 0.7
    """Of a pair one place further apart, relative to one place less."""
    gap: int = 10
    """Most places between the two."""
    backward: float = 0.3
    """Of the item that came before, relative to the one that came after."""
    power: float = 0.4
    """Of the numbers of times the two were taken, by which a pair is divided."""
    shrinkage: float = 40.0
    """Added to those numbers."""

    def scale(self, counts: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """c(x) of every item."""
        return (counts + self.shrinkage) ** -self.power


def count_transitions(
    items: NDArray[np.int64], users: NDArray[np.int64], num_items: int, weights: Weights, keep: int
) -> tuple[Int[Tensor, "N M"], Float[Tensor, "N M"], Float[Tensor, " N"]]:
    """The strongest transitions of every item.

    Args:
        items: what was taken, user by user, oldest first.
        users: who took it, ascending.
        keep: M.

    Returns:
        The items that follow, strongest first (PAD where there are fewer), their S, and how often each item was taken.
    """
    counts = np.bincount(items, minlength=num_items)
    scale = weights.scale(torch.from_numpy(counts).double()).numpy()
    total = sp.csr_matrix((num_items, num_items))
    for gap in range(1, weights.gap + 1):
        same = users[:-gap] == users[gap:] if gap < len(users) else np.zeros(0, bool)
        first, second = items[:-gap][same], items[gap:][same]
        value = weights.fade ** (gap - 1) * scale[first] * scale[second]
        ends = np.concatenate([first, second]), np.concatenate([second, first])
        values = np.concatenate([value, weights.backward * value])
        total = total + sp.csr_matrix((values, ends), shape=(num_items, num_items))
    total.setdiag(0)
    total.eliminate_zeros()
    return *_strongest(total.tocsr(), keep), torch.from_numpy(counts).float()


def _strongest(table: sp.csr_matrix, keep: int) -> tuple[Int[Tensor, "N M"], Float[Tensor, "N M"]]:
    """The `keep` largest entries of every row, largest first; among equals the lower column."""
    rows = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
    order = np.lexsort((table.indices, -table.data, rows))
    place = np.arange(len(rows)) - table.indptr[rows]
    kept = place < keep
    items = np.full((table.shape[0], keep), PAD, np.int64)
    values = np.zeros((table.shape[0], keep), np.float32)
    items[rows[kept], place[kept]] = table.indices[order][kept]
    values[rows[kept], place[kept]] = table.data[order][kept]
    return torch.from_numpy(items), torch.from_numpy(values)


def recall(
    items: Int[Tensor, "N M"], values: Float[Tensor, "N M"], latest: Int[Tensor, "P R"], recency: float, size: int
) -> tuple[Int[Tensor, "P J"], Float[Tensor, "P J"]]:
    """The items of most mass after each history, largest first; mass 0 and item 0 where there are fewer than `size`.

    Args:
        latest: the history's last items, the latest first; PAD fills short rows.
    """
    real = latest != PAD
    weight = recency ** torch.arange(latest.shape[1], device=latest.device, dtype=values.dtype)
    rows = latest.clamp_min(0)
    mass = (values[rows] * (weight * real)[..., None]).flatten(1)
    found = torch.where(mass > 0, items[rows].flatten(1), PAD)
    found, order = found.sort(dim=1)
    mass = mass.gather(1, order).double().cumsum(1)  # equal items lie side by side: their sum is a difference
    last = torch.ones_like(found, dtype=torch.bool)
    last[:, :-1] = found[:, 1:] != found[:, :-1]
    ends = torch.where(last, mass, 0.0).cummax(1).values  # the running sum at the last entry of an item so far
    before = torch.nn.functional.pad(ends[:, :-1], (1, 0))
    single = torch.where(last & (found != PAD), mass - before, 0.0).float()
    top = single.topk(min(size, single.shape[1]), dim=1)
    return torch.where(top.values > 0, found.gather(1, top.indices), 0), top.values


def own_share(
    window: Int[Tensor, "B W"], scale: Float[Tensor, " N"], weights: Weights, recency: float, latest: int
) -> Float[Tensor, "B W W"]:
    """How much of mass(item at place k | history up to place t) the window's own pairs put there: [b, t, k].

    All pairs of which at least one place lies after t count, so what is left after taking them away says nothing of
    what the user did later. Only k > t mean anything.
    """
    places = window.shape[1]
    real = window != PAD
    index = torch.arange(places, device=window.device)
    apart = index[None, :] - index[:, None]  # [j, k]
    near = (apart.abs() >= 1) & (apart.abs() <= weights.gap)
    direction = torch.where(apart > 0, 1.0, weights.backward)
    fade = torch.where(near, weights.fade ** (apart.abs() - 1.0).clamp_min(0) * direction, 0.0)
    scaled = torch.where(real, scale[window.clamp_min(0)], 0.0)
    share = fade * scaled[:, :, None] * scaled[:, None, :]  # [b, j, k]
    age = index[:, None] - index[None, :]  # [t, i]
    held = torch.where((age >= 0) & (age < latest), recency ** age.clamp_min(0).float(), 0.0) * real[:, None, :]
    same = (window[:, :, None] == window[:, None, :]) & real[:, :, None]
    weight = held @ same.float()  # [b, t, j]: how much the history up to t weighs the item at place j
    return weight @ share
