"""k-means by FAISS, and what is built of it: balanced clusters, codebooks of residuals, trees of centroids.

n rows, d width, L levels, K codes of a level, W centroids of a whole tree.
"""

import functools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from unisid.ops.assignment import place_within_load, place_within_room
from unisid.ops.residual import nearest, squared_distances

OnRound = Callable[[int, int], None]
"""Called with how many rounds of how many are done: levels, or passes over the rows where each is long."""


def unwatched(done: int, total: int) -> None:
    """For a caller who waits in silence."""


def kmeans(
    rows: Float[Tensor, "n d"],
    size: int,
    *,
    seed: int,
    iterations: int = 25,
    restarts: int = 1,
    points_per_code: int = 256,
    dimension_steps: int = 1,
) -> Float[Tensor, "K d"]:
    """`size` centroids of the rows: the same for the same rows and seed. Fewer rows than codes: rows repeat.

    Args:
        restarts: independent runs, of which the one with the least error is kept.
        points_per_code: at most this many rows a code are looked at, drawn by the seed.
        dimension_steps: s > 1: s times in a row, on the first d^(1/s), d^(2/s), ..., d principal components, each
            beginning at the centroids of the one before; ends at a lower error than from drawn rows in all d at once.
    """
    if len(rows) <= size:
        return rows[torch.arange(size, device=rows.device) % len(rows)].clone()
    import faiss  # here: settings are read, and recipes planned, where nothing is clustered

    faiss.omp_set_num_threads(torch.get_num_threads())  # a worker's share of the machine, which FAISS does not see
    if dimension_steps > 1:
        return _progressive(rows, size, seed, iterations, restarts, points_per_code, dimension_steps)
    gpu = rows.is_cuda and hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0
    clustering = faiss.Kmeans(
        rows.shape[1],
        size,
        niter=iterations,
        nredo=restarts,
        seed=seed,
        gpu=gpu,
        min_points_per_centroid=1,
        max_points_per_centroid=points_per_code,
    )
    clustering.train(rows.detach().float().cpu().numpy())
    return torch.tensor(clustering.centroids).to(rows)


def _progressive(
    rows: Float[Tensor, "n d"], size: int, seed: int, iterations: int, restarts: int, points_per_code: int, steps: int
) -> Float[Tensor, "K d"]:
    """k-means in a growing number of principal components, on the processor."""
    import faiss

    settings = faiss.ProgressiveDimClusteringParameters()
    settings.niter, settings.nredo, settings.seed = iterations, restarts, seed
    settings.min_points_per_centroid, settings.max_points_per_centroid = 1, points_per_code
    settings.progressive_dim_steps = steps
    clustering = faiss.ProgressiveDimClustering(rows.shape[1], size, settings)
    points = rows.detach().float().cpu().contiguous().numpy()
    factory = faiss.ProgressiveDimIndexFactory()
    clustering.train(len(points), faiss.swig_ptr(points), factory)  # type: ignore[call-overload]  # as it is bound
    return torch.tensor(faiss.vector_to_array(clustering.centroids).reshape(size, -1)).to(rows)


def residual_kmeans(
    rows: Float[Tensor, "n d"],
    levels: int,
    size: int,
    *,
    seed: int,
    iterations: int = 25,
    restarts: int = 1,
    points_per_code: int = 256,
    dimension_steps: int = 1,
    on_round: OnRound = unwatched,
) -> Float[Tensor, "L K d"]:
    """Codebooks by k-means of what the levels above leave over."""
    fit = functools.partial(
        kmeans,
        size=size,
        iterations=iterations,
        restarts=restarts,
        points_per_code=points_per_code,
        dimension_steps=dimension_steps,
    )
    return residual_codebooks(rows, levels, lambda left, level: fit(left, seed=seed + level), on_round)


def residual_codebooks(
    rows: Float[Tensor, "n d"], levels: int, fit: Callable[[Tensor, int], Tensor], on_round: OnRound = unwatched
) -> Float[Tensor, "L K d"]:
    """A codebook a level, each fitted to what the nearest codewords of the levels above leave over."""
    codebooks = []
    for level in range(levels):
        codebook = fit(rows, level)
        rows = rows - codebook[nearest(rows, codebook)]
        codebooks.append(codebook)
        on_round(level + 1, levels)
    return torch.stack(codebooks)


def balanced_kmeans(
    rows: Float[Tensor, "n d"],
    size: int,
    *,
    seed: int,
    iterations: int = 25,
    loads: Int[Tensor, " n"] | None = None,
    on_round: OnRound = unwatched,
) -> tuple[Float[Tensor, "K d"], Int[Tensor, " n"]]:
    """k-means whose clusters are equally large, to one row: the centroids and every row's cluster (OneRec).

    It begins at rows drawn by the seed. A full cluster keeps its nearest rows; OneRec's own order, in which earlier
    clusters choose first, would depend on their numbers. Holds all n * K distances at a time. Fewer rows than
    clusters: rows repeat.

    Args:
        loads: what a row counts for, at least 1: a cluster is full when its rows' loads reach sum(loads) / K.
            Centroids are plain means all the same. Ours.
    """
    if len(rows) <= size:
        return kmeans(rows, size, seed=seed), torch.arange(len(rows), device=rows.device)
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:size]
    centroids = rows[drawn.to(rows.device)]
    place = _placing(len(rows), size, loads)
    codes = torch.full((len(rows),), -1, device=rows.device)
    for done in range(iterations):
        before = codes
        codes = torch.from_numpy(place(squared_distances(rows, centroids).cpu().numpy())).to(rows.device)
        if torch.equal(codes, before):
            break
        order, counts = codes.argsort(stable=True), torch.bincount(codes, minlength=size)
        means = torch.segment_reduce(rows[order], "mean", lengths=counts)
        centroids = torch.where(counts[:, None] > 0, means, centroids)
        on_round(done + 1, iterations)
    on_round(iterations, iterations)
    return centroids, codes


def _placing(count: int, size: int, loads: Tensor | None) -> Callable[[np.ndarray], np.ndarray]:
    """Distances [n, K] -> codes, by equal numbers of rows or equal loads."""
    if loads is not None:
        each = loads.cpu().numpy()
        return functools.partial(place_within_load, loads=each, room=np.full(size, -(-each.sum() // size)))
    room = np.full(size, count // size)
    room[: count % size] += 1
    return functools.partial(place_within_room, room=room)


def balanced_residual_kmeans(
    rows: Float[Tensor, "n d"],
    levels: int,
    size: int,
    *,
    seed: int,
    iterations: int = 25,
    loads: Int[Tensor, " n"] | None = None,
    on_round: OnRound = unwatched,
) -> Float[Tensor, "L K d"]:
    """Codebooks by balanced k-means of what the levels above leave over; `loads` as there."""

    def fit(left: Tensor, level: int) -> Tensor:
        def of_all(done: int, total: int) -> None:
            on_round(level * total + done, levels * total)

        return balanced_kmeans(left, size, seed=seed + level, iterations=iterations, loads=loads, on_round=of_all)[0]

    return residual_codebooks(rows, levels, fit)


def hierarchical_kmeans(
    rows: Float[Tensor, "n d"],
    levels: int,
    size: int,
    *,
    seed: int,
    iterations: int = 25,
    restarts: int = 1,
    points_per_code: int = 256,
    on_round: OnRound = unwatched,
) -> Float[Tensor, "W d"]:
    """The centroids of a tree, level after level: every cluster is clustered again by itself.

    The children of a level's node v are nodes v * K to v * K + K - 1 of the next. An empty cluster passes its
    own centroid down.
    """
    fit = functools.partial(
        kmeans, size=size, iterations=iterations, restarts=restarts, points_per_code=points_per_code
    )
    node = torch.zeros(len(rows), dtype=torch.long, device=rows.device)
    above, tree = rows.mean(0, keepdim=True), []
    for level in range(levels):
        centroids, child = above.repeat_interleave(size, 0), torch.empty_like(node)
        seen = 0
        for parent, members in groups(node):
            first = parent * size
            centroids[first : first + size] = fit(rows[members], seed=seed + level)
            child[members] = first + nearest(rows[members], centroids[first : first + size])
            seen += len(members)
            on_round(level * len(rows) + seen, levels * len(rows))
        node, above = child, centroids
        tree.append(centroids)
    return torch.cat(tree)


def groups(keys: Int[Tensor, " n"]) -> Iterator[tuple[int, Int[Tensor, " m"]]]:
    """Every distinct key and the rows that have it."""
    found, counts = keys.unique(return_counts=True)
    members = keys.argsort(stable=True).split(counts.tolist())
    yield from zip(found.tolist(), members, strict=True)
