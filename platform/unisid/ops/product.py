"""Product quantization: a rotated vector in equal pieces, a codebook for each.

n rows, P width (a multiple of L), L levels, l of them looked at, K codes of a level, s = P / L width of a piece.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unisid.ops.kmeans import OnRound, kmeans, unwatched
from unisid.ops.residual import nearest

FIRST_ROUNDS, FURTHER_ROUNDS = 40, 4
"""Rounds of k-means of every piece in the first round of learning a rotation and in each further one: FAISS's own."""


def rotation_rounds(iterations: int) -> int:
    """The rounds of k-means of every piece that `learn_rotation` takes, which FAISS does not count as it goes."""
    return FIRST_ROUNDS + (iterations - 1) * FURTHER_ROUNDS if iterations else 0


def learn_rotation(
    rows: Float[Tensor, "n P"], levels: int, size: int, *, seed: int, iterations: int
) -> Float[Tensor, "P P"]:
    """The rotation R after which rows @ R lose least to product quantization, by FAISS (Ge et al. 2013).

    It is learned for the largest power of two that `size` holds, as FAISS's codes are whole bits. No iterations, no
    more rows than codes, or fewer than the rows are wide: no rotation.
    """
    width = rows.shape[1]
    if not iterations or len(rows) <= size or len(rows) < width:  # of too few rows FAISS 1.15 takes the process down
        return torch.eye(width, device=rows.device)
    import faiss  # as in `ops.kmeans`

    faiss.omp_set_num_threads(torch.get_num_threads())
    quantizer = faiss.ProductQuantizer(width, levels, size.bit_length() - 1)
    quantizer.cp.seed, quantizer.cp.min_points_per_centroid = seed, 1
    transform = faiss.OPQMatrix(width, levels)
    transform.niter, transform.pq = iterations, quantizer
    transform.train(rows.detach().float().cpu().numpy())
    return torch.from_numpy(faiss.vector_to_array(transform.A).reshape(width, width).T.copy()).to(rows)


def product_kmeans(
    rows: Float[Tensor, "n P"],
    levels: int,
    size: int,
    *,
    seed: int,
    iterations: int = 25,
    restarts: int = 1,
    points_per_code: int = 256,
    on_round: OnRound = unwatched,
) -> Float[Tensor, "L K s"]:
    """Codebooks by k-means of every piece for itself."""
    settings = {"iterations": iterations, "restarts": restarts, "points_per_code": points_per_code}
    codebooks = []
    for level, piece in enumerate(rows.chunk(levels, 1)):
        codebooks.append(kmeans(piece.contiguous(), size, seed=seed + level, **settings))
        on_round(level + 1, levels)
    return torch.stack(codebooks)


def product_quantize(rows: Float[Tensor, "n P"], codebooks: Float[Tensor, "L K s"]) -> Int[Tensor, "n L"]:
    """The nearest codeword of every piece."""
    pieces = rows.chunk(len(codebooks), 1)
    return torch.stack([nearest(piece, codebook) for piece, codebook in zip(pieces, codebooks, strict=True)], 1)


def product_lookup(codes: Int[Tensor, "n l"], codebooks: Float[Tensor, "L K s"]) -> Float[Tensor, "n P"]:
    """The codewords side by side; zeros for the pieces of which no code is given."""
    num_levels, _, piece = codebooks.shape
    rows = codebooks.new_zeros(len(codes), num_levels, piece)
    levels = torch.arange(codes.shape[1], device=codes.device)
    rows[:, : codes.shape[1]] = codebooks[levels, codes]
    return rows.flatten(1)
