"""Samples without replacement in which every item has its own chance, and sums over all items estimated from them.

    sum over sampled items of x_i / share_i    has the expectation    sum over all items of x_i

(Horvitz and Thompson, 1952). N items, S sampled.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def shares(weights: Float[Tensor, " N"], size: int) -> Float[Tensor, " N"]:
    """The chance of every item to be in a sample of `size`: by weight, at most 1, adding up to `size`; float64.

    >>> shares(torch.tensor([1.0, 1.0, 2.0, 8.0]), 2).tolist()  # the last one is always in it, the rest share one place
    [0.25, 0.25, 0.5, 1.0]
    """
    weights = weights.double()
    if size >= len(weights):
        return torch.ones_like(weights)
    certain = torch.zeros_like(weights, dtype=torch.bool)
    while True:
        left = torch.where(certain, 0.0, weights)
        found = torch.where(certain, 1.0, left * (size - certain.sum()) / left.sum())
        above = found > 1
        if not above.any():
            return found
        certain = certain | above


def drawn(share: Float[Tensor, " N"], start: Float[Tensor, ""]) -> Int[Tensor, " S"]:
    """The items of a systematic sample, ascending: those in whose stretch of the running sum of shares a point
    start, start + 1, ... lies.

    Args:
        start: drawn uniformly from [0, 1).
    """
    ends = share.cumsum(0)
    points = start.to(ends) + torch.arange(round(float(ends[-1])), device=ends.device, dtype=ends.dtype)
    return torch.searchsorted(ends, points, right=True).clamp_max(len(ends) - 1).unique()
