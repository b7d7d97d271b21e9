"""Propagation over the bipartite graph of users and items, as products with its normalised adjacency.

    A_norm = D^-1/2 A D^-1/2,   A = [[0, R], [R^T, 0]],   E(k) = A_norm E(k-1)         (UQF thesis, 3.2)

R holds a one, or a weight, at every edge; D holds the sums of A's rows.

A is symmetric, so every polynomial of it is its own backward pass: nothing is transposed and nothing is saved.
U users, N items, V = U + N nodes (users first), M edges, D columns, K propagation layers.
"""

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import sparse
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True, eq=False)
class Adjacency:
    """A_norm by its two blocks in CSR: the square matrix has nothing besides them."""

    users_items: Tensor
    """[U, N]: r_ui / sqrt(d_u d_i) at every edge."""
    items_users: Tensor
    """[N, U]: the same, by item."""

    @property
    def num_users(self) -> int:
        return int(self.users_items.shape[0])

    @property
    def num_items(self) -> int:
        return int(self.users_items.shape[1])

    @property
    def num_nodes(self) -> int:
        return self.num_users + self.num_items

    def to(self, device: torch.device) -> "Adjacency":
        return Adjacency(self.users_items.to(device), self.items_users.to(device))


def adjacency(
    user: Int[np.ndarray, " M"],
    item: Int[np.ndarray, " M"],
    num_users: int,
    num_items: int,
    weights: Float[np.ndarray, " M"] | None = None,
) -> Adjacency:
    """A_norm of distinct (user, item) pairs, all alike or with weights above 0, of which only ratios matter.

    Indices are 32 bits wide where they fit, which every kernel prefers.
    """
    edge = np.ones(len(user)) if weights is None else weights.astype(np.float64)
    user_degree, item_degree = (np.bincount(node, edge) for node in (user, item))
    norm = (edge / np.sqrt(user_degree[user] * item_degree[item])).astype(np.float32)
    shape = (num_users, num_items)
    users_items = sparse.csr_array((norm, (user, item)), shape=shape)  # by counting; columns of a row ascend
    return Adjacency(_to_torch(users_items), _to_torch(users_items.T.tocsr()))


def propagate(graph: Adjacency, vectors: Float[Tensor, "V D"]) -> Float[Tensor, "V D"]:
    """One layer: A_norm E. Gradients flow back by the same product."""
    return _SelfAdjoint.apply(vectors, functools.partial(_product, graph))


def mean_over_layers(graph: Adjacency, vectors: Float[Tensor, "V D"], num_layers: int) -> Float[Tensor, "V D"]:
    """(E(0) + ... + E(K)) / (K + 1), what LightGCN scores with (UQF thesis, 3.2), in K products and no stored layer."""
    return _SelfAdjoint.apply(vectors, functools.partial(_mean, graph, num_layers))


def layers(graph: Adjacency, vectors: Float[Tensor, "V D"], num_layers: int) -> list[Tensor]:
    """E(0) to E(K), each [V, D]."""
    stack = [vectors]
    for _ in range(num_layers):
        stack.append(propagate(graph, stack[-1]))
    return stack


class _SelfAdjoint(torch.autograd.Function):
    """A symmetric linear map: the gradient of its input is the map of the gradient of its output."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, linear: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.linear = linear
        return linear(vectors)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.linear(gradient.contiguous()), None


def _product(graph: Adjacency, vectors: Tensor) -> Tensor:
    return _add_product(graph, vectors, torch.zeros_like(vectors))


def _mean(graph: Adjacency, num_layers: int, vectors: Tensor) -> Tensor:
    """Horner's rule, E + A (E + A (E + ...)), alternating between two buffers."""
    out, spare = torch.empty_like(vectors), torch.empty_like(vectors)
    current = vectors
    for _ in range(num_layers):
        current, out, spare = _add_product(graph, current, out.copy_(vectors)), spare, out
    return current / (num_layers + 1) if current is vectors else current.div_(num_layers + 1)


def _add_product(graph: Adjacency, vectors: Tensor, onto: Tensor) -> Tensor:
    """onto += A_norm vectors, block by block; written in place, as fresh memory costs as much as the product."""
    num_users = graph.num_users
    users, items = onto[:num_users], onto[num_users:]
    torch.addmm(users, graph.users_items, vectors[num_users:], out=users)
    torch.addmm(items, graph.items_users, vectors[:num_users], out=items)
    return onto


def _to_torch(matrix: sparse.csr_array) -> Tensor:
    """The same matrix, on the same memory where the kinds of indices allow it."""
    starts, ends, values = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(starts, ends, values, matrix.shape, check_invariants=True)
