"""Item-to-item transitions: counted once from training sequences, a neighbour table (`ops.related`).

    S[a, b] = sum over pairs (a at place i, b at place j of one user's sequence), 1 <= |j - i| <= gap, of
              fade^(|j - i| - 1) * c(a) * c(b) * (1 where b came later, else backward)
    c(x) = (n_x + shrinkage)^-power

n_x is how often x was taken. Where interactions have weights, a pair counts the root of the product of its two, and n_x
is the sum of x's. Of every item the M strongest transitions are kept. N items.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from unisid.ops.related import Table


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
    items: NDArray[np.int64],
    users: NDArray[np.int64],
    num_items: int,
    weights: Weights,
    keep: int,
    each: NDArray[np.float64] | None = None,
) -> tuple[Table, Float[Tensor, " N"]]:
    """The strongest transitions of every item.

    Args:
        items: what was taken, user by user, oldest first.
        users: who took it, ascending.
        keep: M.
        each: the weight of every interaction; None: all count alike.

    Returns:
        The table, its values S, and how often each item was taken.
    """
    counts = np.bincount(items, minlength=num_items)
    root = np.ones(len(items)) if each is None else np.sqrt(each)
    taken = np.bincount(items, each, minlength=num_items)
    scale = weights.scale(torch.from_numpy(taken).double()).numpy()
    total = sp.csr_matrix((num_items, num_items))
    for gap in range(1, weights.gap + 1):
        same = users[:-gap] == users[gap:] if gap < len(users) else np.zeros(0, bool)
        first, second = items[:-gap][same], items[gap:][same]
        value = weights.fade ** (gap - 1) * scale[first] * scale[second] * (root[:-gap] * root[gap:])[same]
        ends = np.concatenate([first, second]), np.concatenate([second, first])
        values = np.concatenate([value, weights.backward * value])
        total = total + sp.csr_matrix((values, ends), shape=(num_items, num_items))
    total.setdiag(0)
    total.eliminate_zeros()
    return Table.strongest(total.tocsr(), keep), torch.from_numpy(counts).float()
