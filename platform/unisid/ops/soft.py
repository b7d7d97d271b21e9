"""Soft residual quantization: at every level a distribution over the codewords in place of the nearest one.

With a temperature that falls to 0 it is `ops.residual`. n rows, d width, L levels, K codes of a level.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from unisid.ops.residual import squared_distances


@dataclass(frozen=True)
class Soft:
    """What soft quantization makes of rows."""

    log_p: Float[Tensor, "n L K"]
    """log p(codeword) of every level."""
    quantized: Float[Tensor, "n d"]
    """The sum over levels of the codewords' means."""


def soft_residual(
    rows: Float[Tensor, "n d"],
    codebooks: Float[Tensor, "L K d"],
    temperatures: Float[Tensor, " L"],
    subtract: Literal["soft", "hard"] = "soft",
) -> Soft:
    """p_l(k) = softmax_k(-|v_l - e_lk|^2 / tau_l), q_l = sum_k p_l(k) e_lk, v_(l+1) = v_l - q_l (UniGRec, eq. 14).

    Args:
        subtract: what a level leaves to the next is less the mean codeword, or less the nearest, without a gradient.
    """
    log_p, quantized = [], torch.zeros_like(rows)
    for codebook, temperature in zip(codebooks, temperatures, strict=True):
        distances = squared_distances(rows, codebook)
        log_p.append((-distances / temperature).log_softmax(1))
        mean = log_p[-1].exp() @ codebook
        quantized = quantized + mean
        rows = rows - (mean if subtract == "soft" else codebook[distances.argmin(1)].detach())
    return Soft(torch.stack(log_p, 1), quantized)


def median_distances(rows: Float[Tensor, "n d"], codebooks: Float[Tensor, "L K d"]) -> Float[Tensor, " L"]:
    """The median squared distance to the nearest codeword, by level.

    A thousandth of the rows' spread at least: with a codeword for every row all are at 0.
    """
    found, least = [], 1e-3 * (rows - rows.mean(0)).square().sum(1).mean() + torch.finfo(rows.dtype).tiny
    for codebook in codebooks:
        distances, nearest = squared_distances(rows, codebook).min(1)
        found.append(distances.median())
        rows = rows - codebook[nearest]
    return torch.stack(found).clamp_min(least)


def negative_entropy(mean_p: Float[Tensor, "L K"]) -> Float[Tensor, ""]:
    """sum_l sum_k p log p of the mean over a batch: from -L log K where all codes are used alike, up to 0."""
    return torch.xlogy(mean_p, mean_p).sum()


def symmetric_kl(log_p: Float[Tensor, "n L K"], log_q: Float[Tensor, "n L K"]) -> Float[Tensor, ""]:
    """The mean over rows of sum_l KL(p_l || q_l) + KL(q_l || p_l) = sum_l sum_k (p - q)(log p - log q)."""
    return ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum((1, 2)).mean()
