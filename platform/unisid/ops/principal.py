"""Principal components of item vectors, scaled alike: what a recommender reads of vectors of any width.

N items, W width, C components.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def principal(values: Float[Tensor, "N W"], width: int) -> tuple[Float[Tensor, " W"], Float[Tensor, "W C"]]:
    """The mean, and the axes of most variance divided by one number so that all components together have variance 1.

    A vector that is narrower than C has further components of 0. An axis points to its largest entry.
    """
    mean = values.double().mean(0)
    centred = values.double() - mean
    variance, axes = torch.linalg.eigh(centred.T @ centred / max(1, len(values)))
    kept = min(width, len(mean))
    axes = axes.flip(1)[:, :kept]
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    scale = variance.flip(0)[:kept].clamp_min(0).mean().sqrt().clamp_min(1e-9)
    found = torch.zeros(len(mean), width, dtype=torch.double)
    found[:, :kept] = axes * largest.sign() / scale
    return mean.float(), found.float()


def project(
    values: Float[Tensor, "N W"], mean: Float[Tensor, " W"], axes: Float[Tensor, "W C"]
) -> Float[Tensor, "N C"]:
    """The components of vectors; a vector of zeros, of which nothing is known, has components of 0."""
    known = values.abs().sum(1, keepdim=True) > 0
    return torch.where(known, (values.float() - mean) @ axes, 0.0)
