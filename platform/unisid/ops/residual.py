"""Residual quantization: a vector as a sum of codewords, one a level, each the nearest to what is still left.

n rows, d width, L levels, K codes of a level, l levels already chosen.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

CHUNK = 1 << 15
"""Rows whose distances to a whole codebook are held at a time."""


def squared_distances(rows: Float[Tensor, "n d"], codebook: Float[Tensor, "K d"]) -> Float[Tensor, "n K"]:
    """|r - e|^2 of every row to every codeword, in one matrix product; never below zero."""
    cross = torch.addmm(codebook.square().sum(1), rows, codebook.T, alpha=-2)
    return (cross + rows.square().sum(1, keepdim=True)).clamp_min_(0)


def nearest(rows: Float[Tensor, "n d"], codebook: Float[Tensor, "K d"]) -> Int[Tensor, " n"]:
    """The nearest codeword of every row; of equals, the first."""
    if len(rows) <= CHUNK:
        return squared_distances(rows, codebook).argmin(1)
    return torch.cat([squared_distances(piece, codebook).argmin(1) for piece in rows.split(CHUNK)])


def quantize(rows: Float[Tensor, "n d"], codebooks: Float[Tensor, "L K d"]) -> Int[Tensor, "n L"]:
    """c(m) = argmin_k |r(m) - e_k(m)|^2, r(m+1) = r(m) - e_c(m), from r(1) = the row (UQF thesis, 3.3)."""
    codes = torch.empty(len(rows), len(codebooks), dtype=torch.long, device=rows.device)
    for level, codebook in enumerate(codebooks):
        codes[:, level] = nearest(rows, codebook)
        rows = rows - codebook[codes[:, level]]
    return codes


def lookup(codes: Int[Tensor, "n l"], codebooks: Float[Tensor, "L K d"]) -> Float[Tensor, "n d"]:
    """The sum of the codewords that the codes of the first l levels name."""
    levels = torch.arange(codes.shape[1], device=codes.device)
    return codebooks[levels, codes].sum(1)


def straight_through(rows: Float[Tensor, "n d"], quantized: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """The quantized rows, with the gradient of the rows themselves (van den Oord et al. 2017)."""
    return rows + (quantized - rows).detach()


def quantization_loss(
    rows: Float[Tensor, "n d"], codebooks: Float[Tensor, "L K d"], codes: Int[Tensor, "n L"], beta: float
) -> Float[Tensor, ""]:
    """sum_m |sg r(m) - e(m)|^2 + beta |r(m) - sg e(m)|^2, a mean over rows and width (UQF thesis, eq. of 3.3).

    A level's codewords learn from their own level only: what the levels above subtract is a constant below them.
    """
    total = rows.new_zeros(())
    for level, codebook in enumerate(codebooks):
        chosen = codebook[codes[:, level]]
        total = total + F.mse_loss(chosen, rows.detach()) + beta * F.mse_loss(rows, chosen.detach())
        rows = rows - chosen.detach()
    return total
