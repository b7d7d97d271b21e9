"""LightGCN's propagation by the definition: the dense square matrix, powers of it, a mean."""

import numpy as np


def dense_adjacency(user, item, num_users, num_items, weights=None):
    """D^-1/2 A D^-1/2 [V, V] in float64."""
    nodes = num_users + num_items
    matrix = np.zeros((nodes, nodes))
    for u, i, weight in zip(user, item, [1.0] * len(user) if weights is None else weights, strict=True):
        matrix[u, num_users + i] = matrix[num_users + i, u] = weight
    degree = matrix.sum(1)
    for a in range(nodes):
        for b in range(nodes):
            if matrix[a, b]:
                matrix[a, b] /= np.sqrt(degree[a] * degree[b])
    return matrix


def mean_over_layers(matrix, vectors, num_layers):
    """(E + A E + ... + A^K E) / (K + 1), by matrix powers."""
    return sum(np.linalg.matrix_power(matrix, k) @ vectors for k in range(num_layers + 1)) / (num_layers + 1)
