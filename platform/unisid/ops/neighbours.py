"""The items that share most users with an item, exactly, by sparse products of bounded size.

U users, N items, n rows of a block, K neighbours.
"""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Measure = Literal["count", "cosine"]

PAIRS = 1 << 24
"""Item pairs counted at one time; about 50 bytes each."""

ROWS = 1 << 14
"""Items counted at one time: keeps (row, count, item) inside 63 bits."""


def incidence(
    users: NDArray[np.int32],
    items: NDArray[np.int32],
    num_users: int,
    num_items: int,
    weights: NDArray[np.float64] | None = None,
) -> sp.csr_matrix:
    """R [U, N], one or the pair's weight where a user took an item; the pairs must be distinct."""
    held = np.ones(len(users), np.int32) if weights is None else weights
    return sp.csr_matrix((held, (users, items)), shape=(num_users, num_items))


def co_occurrence(
    taken: sp.csr_matrix, start: int, stop: int, num_neighbours: int, pairs: int = PAIRS, measure: Measure = "count"
) -> NDArray[np.int32]:
    """For items start to stop: the other items by the users that both have, most first, ties by item number.

    The rows of R^T R, whose off-diagonal entries are those numbers c_ij (UQF thesis, 4.3.2), a block at a time. A row
    ends with -1 where no further item shares a user. [stop - start, K].

    Args:
        taken: R [U, N] of ones or of weights, without duplicates.
        pairs: at most so many entries of the product are held at a time, but at least one item's.
        measure: what to order by: `count` is c_ij, `cosine` c_ij / sqrt(c_i c_j), with c_i = c_ii the users of an item.
    """
    by_item = taken.tocsc()[:, start:stop].T.tocsr()
    users = None if measure == "count" else _squares(taken)
    best = np.full((stop - start, num_neighbours), -1, np.int32)
    for low, high in _blocks(by_item, np.diff(taken.indptr), taken.shape[1], pairs):
        product = (by_item[low:high] @ taken).tocsr()
        best[low:high] = _first(product, start + low, num_neighbours, users)
    return best


def _squares(taken: sp.csr_matrix) -> NDArray[Any]:
    """c_ii [N], whole numbers where R holds such."""
    kind = np.int64 if taken.dtype.kind == "i" else np.float64
    return np.bincount(taken.indices, taken.data.astype(np.float64) ** 2, minlength=taken.shape[1]).astype(kind)


def _blocks(by_item: sp.csr_matrix, user_degree: NDArray[Any], num_items: int, pairs: int) -> Iterator[tuple[int, int]]:
    """Row ranges whose products have at most `pairs` entries, by the bound min(N, sum over users of their degree)."""
    reach = np.concatenate([[0], np.cumsum(user_degree[by_item.indices], dtype=np.int64)])[by_item.indptr]
    bound = np.concatenate([[0], np.cumsum(np.minimum(np.diff(reach), num_items))])
    low = 0
    while low < by_item.shape[0]:
        high = max(low + 1, int(np.searchsorted(bound, bound[low] + pairs, side="right")) - 1)
        high = min(high, low + ROWS)
        yield low, high
        low = high


def _first(product: sp.csr_matrix, start: int, num_neighbours: int, users: NDArray[Any] | None) -> NDArray[np.int32]:
    """The columns of the largest entries of every row, the row's own item left out.

    Args:
        users: c_ii of each item; given, entries are compared as cosines. A row's own is the same for all of it.
    """
    num_rows, num_items = product.shape
    row = np.repeat(np.arange(num_rows), np.diff(product.indptr))
    other = product.indices != row + start
    whole = product.dtype.kind == "i"
    row, column, count = row[other], product.indices[other], product.data[other].astype(np.int64 if whole else float)
    if users is None and whole:
        most = count.max(initial=0)
        key = (row * (most + 1) + (most - count)) * num_items + column  # one integer each: row, then count, then item
        key.sort()
        ordered = key % num_items
    else:
        ordered = column[np.lexsort((column, -count if users is None else -(count**2) / users[column], row))]
    rank = np.arange(len(row)) - np.searchsorted(row, np.arange(num_rows))[row]
    kept = rank < num_neighbours
    best = np.full((num_rows, num_neighbours), -1, np.int32)
    best[row[kept], rank[kept]] = ordered[kept]
    return best
