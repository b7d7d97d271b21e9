"""Vectors of items from the steps of sequences: the strongest eigenvectors of how often items lie near one another.

    S = transitions (`ops.transitions`), both directions alike;   A = D^-1/2 S D^-1/2,  D the row sums of S
    A u_k = l_k u_k, l_1 >= l_2 >= ...;   e_i = (l_k u_ik)_k / its length

Two items are alike where the same items lie near them (spectral embedding; Belkin and Niyogi, 2003). Nothing is
learned by gradients. N items, W width.
"""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float
from numpy.typing import NDArray

from unisid.ops.related import PAD
from unisid.ops.transitions import Weights, count_transitions

NEIGHBOURS = 64
"""The strongest transitions of an item that count."""
DENSE = 512
"""Up to so many items, and where most eigenvectors are wanted, all are computed."""
SPARE, ROUNDS, POWERS = 32, 8, 4
"""Directions beside those that are wanted; rounds of the iteration, and products in each."""


def step_vectors(
    items: NDArray[np.int64],
    users: NDArray[np.int64],
    num_items: int,
    width: int,
    each: NDArray[np.float64] | None = None,
) -> Float[NDArray[np.float32], "N W"]:
    """The items' vectors of length one; zero for an item that no step leads to or from.

    Args:
        items: what was taken, user by user, oldest first.
        users: who took it, ascending.
        each: the weight of every interaction; None: all count alike.
    """
    near = normalised(items, users, num_items, each)
    found = np.zeros((num_items, width), np.float32)
    values, axes = strongest(near, min(width, num_items))
    vectors = axes * np.maximum(values, 0)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    known = (np.diff(near.indptr) > 0) & (length[:, 0] > 0)
    found[known, : vectors.shape[1]] = (vectors / np.maximum(length, 1e-12))[known]
    return found


def normalised(
    items: NDArray[np.int64], users: NDArray[np.int64], num_items: int, each: NDArray[np.float64] | None = None
) -> sp.csr_matrix:
    """A [N, N]."""
    table, _ = count_transitions(items, users, num_items, Weights(backward=1.0), NEIGHBOURS, each)
    columns, values = table.items.numpy(), table.values.numpy().astype(np.float64)
    row, place = np.nonzero(columns != PAD)
    strength = sp.csr_matrix((values[row, place], (row, columns[row, place])), shape=(num_items, num_items))
    both = ((strength + strength.T) / 2).tocsr()
    total = np.asarray(both.sum(axis=1)).reshape(-1)
    root = sp.diags(np.where(total > 0, 1 / np.sqrt(np.maximum(total, 1e-300)), 0.0))
    return (root @ both @ root).tocsr()


def strongest(matrix: sp.csr_matrix, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The largest eigenvalues of a symmetric matrix with eigenvalues from -1 to 1, largest first, and their vectors
    [N, count], each with its largest entry positive.

    A large matrix has them by subspace iteration, near enough for vectors: as a block, since a catalogue that falls
    into parts has the eigenvalue 1 many times over, of which a single Krylov sequence finds one.
    """
    size = matrix.shape[0]
    if size <= DENSE or count + SPARE >= size:
        values, axes = np.linalg.eigh(matrix.toarray())
    else:
        basis = np.random.default_rng(0).normal(size=(size, count + SPARE))
        for _ in range(ROUNDS):
            for _ in range(POWERS):
                basis = (basis + matrix @ basis) / 2
            basis = np.linalg.qr(basis)[0]
        values, inner = np.linalg.eigh(basis.T @ (matrix @ basis))
        axes = basis @ inner
    order = np.argsort(-values, kind="stable")[:count]
    axes = axes[:, order]
    sign = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return values[order], axes * np.where(sign == 0, 1.0, sign)
