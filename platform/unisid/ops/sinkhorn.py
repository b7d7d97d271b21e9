"""Balanced assignment by entropic optimal transport: every code is to get an equal share of the rows.

n rows, K codes.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor


def transport_plan(distances: Float[Tensor, "n K"], epsilon: float, iterations: int = 50) -> Float[Tensor, "n K"]:
    """exp(-distance / epsilon), scaled by turns until rows sum to 1/n and columns to 1/K (Cuturi 2013).

    In logarithms, so that a small epsilon cannot overflow. Rows are scaled last and are exact.

    Args:
        epsilon: in units of half the range of the distances, which are mapped to [-1, 1] first as LC-Rec does.
    """
    low, high = distances.min(), distances.max()
    centred = (distances - (low + high) / 2) / ((high - low) / 2).clamp_min(1e-5)
    plan = -centred / epsilon
    num_rows, num_codes = plan.shape
    for _ in range(iterations):
        plan = plan - torch.logsumexp(plan, 0, keepdim=True) - math.log(num_codes)
        plan = plan - torch.logsumexp(plan, 1, keepdim=True) - math.log(num_rows)
    return plan.exp()


def balanced_codes(distances: Float[Tensor, "n K"], epsilon: float, iterations: int = 50) -> Int[Tensor, " n"]:
    """The code that the transport plan gives most of each row."""
    return transport_plan(distances, epsilon, iterations).argmax(1)
