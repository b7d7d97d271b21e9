"""The best centroids in a subspace, cluster by cluster, and what they lose, row by row."""

import numpy as np


def best_in_subspace(rows, codes, size, directions):
    """Centroids of the clusters that have rows; of the others, None."""
    rows = np.asarray(rows, np.float64)
    means = [rows[np.asarray(codes) == k].mean(0) if k in codes else None for k in range(size)]
    scatter = np.zeros((rows.shape[1], rows.shape[1]))
    for code in codes:
        scatter += np.outer(means[code], means[code])
    values, vectors = np.linalg.eigh(scatter)
    chosen = [vectors[:, number] for number in np.argsort(values)[::-1][:directions]]
    return [None if mean is None else sum((mean @ axis) * axis for axis in chosen) for mean in means]


def loss(rows, centroids, codes):
    return sum(float(((row - centroids[code]) ** 2).sum()) for row, code in zip(rows, codes, strict=True))
