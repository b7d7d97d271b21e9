"""k-means by FAISS, and its residual form: the codebooks of residual quantization, level by level.

n rows, d width, L levels, K codes of a level.
"""

import faiss
import torch
from jaxtyping import Float
from torch import Tensor

from unisid.ops.residual import nearest


def kmeans(rows: Float[Tensor, "n d"], size: int, *, seed: int, iterations: int = 25, restarts: int = 1,
           points_per_code: int = 256) -> Float[Tensor, "K d"]:  # fmt: skip
    """`size` centroids of the rows: the same for the same rows and seed. Fewer rows than codes: rows repeat.

    Args:
        restarts: independent runs, of which the one with the least error is kept.
        points_per_code: at most this many rows a code are looked at, drawn by the seed.
    """
    if len(rows) <= size:
        return rows[torch.arange(size, device=rows.device) % len(rows)].clone()
    faiss.omp_set_num_threads(torch.get_num_threads())  # a worker's share of the machine, which FAISS knows nothing of
    gpu = rows.is_cuda and hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0
    clustering = faiss.Kmeans(rows.shape[1], size, niter=iterations, nredo=restarts, seed=seed, gpu=gpu,
                              min_points_per_centroid=1, max_points_per_centroid=points_per_code)  # fmt: skip
    clustering.train(rows.detach().float().cpu().numpy())
    return torch.tensor(clustering.centroids).to(rows)


def residual_kmeans(rows: Float[Tensor, "n d"], levels: int, size: int, *, seed: int, iterations: int = 25,
                    restarts: int = 1, points_per_code: int = 256) -> Float[Tensor, "L K d"]:  # fmt: skip
    """Codebooks by k-means of what the levels above leave over."""
    codebooks = []
    for level in range(levels):
        codebook = kmeans(rows, size, seed=seed + level, iterations=iterations, restarts=restarts,
                          points_per_code=points_per_code)  # fmt: skip
        rows = rows - codebook[nearest(rows, codebook)]
        codebooks.append(codebook)
    return torch.stack(codebooks)
