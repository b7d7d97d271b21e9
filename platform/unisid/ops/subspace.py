"""k-means whose centroids lie in few directions, chosen with them: reduced k-means (De Soete and Carroll 1994).

n rows, D width, w directions, K codes.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unisid.ops.kmeans import kmeans
from unisid.ops.residual import nearest


def subspace_kmeans(
    rows: Float[Tensor, "n D"],
    size: int,
    directions: int,
    *,
    seed: int,
    rounds: int = 10,
    iterations: int = 25,
    restarts: int = 1,
    points_per_code: int = 256,
) -> Float[Tensor, "K D"]:
    """`size` centroids in a subspace of so many directions: the least sum of |row - centroid|^2 that rounds find.

    It begins at k-means of the rows' principal components. A round assigns every row to the nearest centroid, then
    takes the best directions and centroids for these clusters; neither half makes the sum larger. As many directions as
    the rows are wide: plain k-means.
    """

    def clustered(points: Float[Tensor, "n p"]) -> Float[Tensor, "K p"]:
        settings = {"seed": seed, "iterations": iterations, "restarts": restarts, "points_per_code": points_per_code}
        return kmeans(points, size, **settings)

    if directions >= rows.shape[1]:
        return clustered(rows)
    axes = leading(rows.double().T @ rows.double(), directions).to(rows)
    centroids = clustered(rows @ axes) @ axes.T
    codes = None
    for _ in range(rounds):
        before, codes = codes, nearest(rows, centroids)
        if before is not None and torch.equal(codes, before):
            break
        centroids = best_in_subspace(rows, codes, centroids, directions)
    return centroids


def best_in_subspace(
    rows: Float[Tensor, "n D"], codes: Int[Tensor, " n"], centroids: Float[Tensor, "K D"], directions: int
) -> Float[Tensor, "K D"]:
    """The centroids in one subspace of so many directions that are nearest to the rows of given clusters.

    sum_i |x_i - c_k(i)|^2 = sum_i |x_i - m_k(i)|^2 + sum_k n_k |m_k - c_k|^2, with m_k the mean of the n_k rows of
    cluster k: the first sum is fixed, and the second is least for the leading eigenvectors U of sum_k n_k m_k m_k^T and
    c_k = U U^T m_k. A cluster without rows keeps its centroid, as far as it lies in the new subspace.
    """
    counts = torch.bincount(codes, minlength=len(centroids)).double()
    sums = torch.zeros(centroids.shape, dtype=torch.double, device=rows.device).index_add_(0, codes, rows.double())
    means = torch.where(counts[:, None] > 0, sums / counts.clamp_min(1)[:, None], centroids.double())
    axes = leading((counts[:, None] * means).T @ means, directions)
    return (means @ axes @ axes.T).to(rows)


def leading(scatter: Float[Tensor, "D D"], directions: int) -> Float[Tensor, "D w"]:
    """The eigenvectors of the largest eigenvalues of a symmetric matrix, orthonormal."""
    return torch.linalg.eigh(scatter).eigenvectors[:, -directions:]
