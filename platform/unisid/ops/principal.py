"""Principal components of item vectors, scaled alike: what a recommender reads of vectors of any width.

N items, W width, C components.
"""

import torch
from jaxtyping import Float
from torch import Tensor

FLAT = 1e-10
"""Of the largest variance: an axis of less does not vary."""


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


def like(
    values: Float[Tensor, "n W"], components: Float[Tensor, "n C"]
) -> tuple[Float[Tensor, " W"], Float[Tensor, "W C"]]:
    """The mean and the axes under which vectors made anew come nearest to known components: turned and scaled alike.

    With centred values V and components Y the axes are s R, where U S T' = V'Y, R = U T' and s = <VR, Y> / |VR|^2
    (orthogonal Procrustes). Vectors that are the known ones get the axes that `principal` gave those.
    """
    center, offset = values.double().mean(0), components.double().mean(0)
    centred, wanted = values.double() - center, components.double() - offset
    left, size, right = torch.linalg.svd(centred.T @ wanted, full_matrices=False)
    turned = left @ torch.diag((size > FLAT * size[:1].clamp_min(torch.finfo(torch.double).tiny)).double()) @ right
    placed = centred @ turned
    scale = (placed * wanted).sum() / placed.square().sum().clamp_min(torch.finfo(torch.double).tiny)
    mean = center - turned @ offset / scale.clamp_min(1e-9)
    return mean.float(), (scale * turned).float()


def whitened(
    values: Float[Tensor, "N W"], width: int
) -> tuple[Float[Tensor, " W"], Float[Tensor, "W C"], Float[Tensor, "C W"]]:
    """The mean, the axes whose components have variance 1 each, and the way back: components @ back + mean.

    An axis along which nothing varies has components of 0, and so have those beyond the vectors' own width. An axis
    points to its largest entry.

    >>> mean, axes, back = whitened(torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), 2)
    >>> (torch.tensor([[2.0, 1.0]]) @ axes).round(decimals=3), (axes @ back).round(decimals=3)
    (tensor([[1.4140, 1.4140]]), tensor([[1., 0.],
            [0., 1.]]))
    """
    mean = values.double().mean(0)
    centred = values.double() - mean
    variance, vectors = torch.linalg.eigh(centred.T @ centred / max(1, len(values)))
    kept = min(width, len(mean))
    variance, vectors = variance.flip(0)[:kept].clamp_min(0), vectors.flip(1)[:, :kept]
    vectors = vectors * vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
    varies = variance > FLAT * variance[:1].clamp_min(torch.finfo(torch.double).tiny)
    scale = torch.where(varies, variance, 1.0).sqrt()
    axes, back = torch.zeros(len(mean), width, dtype=torch.double), torch.zeros(width, len(mean), dtype=torch.double)
    axes[:, :kept] = torch.where(varies, vectors / scale, 0.0)
    back[:kept] = torch.where(varies, vectors * scale, 0.0).T
    return mean.float(), axes.float(), back.float()


def decorrelating(centred: Float[Tensor, "N W"], ridge: float) -> Float[Tensor, "W W"]:
    """The symmetric map under which all directions of centred vectors vary alike: (C + ridge tr(C) / W)^(-1/2).

    A ridge keeps directions that hardly vary from becoming noise as strong as the others. Vectors that do not vary at
    all get the identity.
    """
    covariance = (centred.double().T @ centred.double()) / max(1, len(centred))
    spread = covariance.diagonal().mean()
    if spread <= 0:
        return torch.eye(centred.shape[1])
    variance, axes = torch.linalg.eigh(covariance / spread)
    scaled: Tensor = axes * (variance.clamp_min(0) + max(ridge, FLAT)).rsqrt()
    return (scaled @ axes.T / spread.sqrt()).float()


def project(
    values: Float[Tensor, "N W"], mean: Float[Tensor, " W"], axes: Float[Tensor, "W C"]
) -> Float[Tensor, "N C"]:
    """The components of vectors; a vector of zeros, of which nothing is known, has components of 0."""
    known = values.abs().sum(1, keepdim=True) > 0
    return torch.where(known, (values.float() - mean) @ axes, 0.0)
