"""The items that share most users with an item, exactly, by sparse products of bounded size.

U users, N items, n rows of a block, K neighbours.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Measure = Literal["count", "cosine"]

PAIRS = 1 << 24
"""Item pairs counted at one time; about 50 bytes each."""

ROWS = 1 << 14
"""Items counted at one time: keeps (row, count, item) inside 63 bits."""


@dataclass(frozen=True)
class Incidence:
    """R, one or the pair's weight where a user took an item, held by users and by items."""

    by_user: sp.csr_matrix
    """R [U, N]."""
    by_item: sp.csr_matrix
    """R^T [N, U]."""

    @classmethod
    def of(
        cls,
        users: NDArray[np.int32],
        items: NDArray[np.int32],
        num_users: int,
        num_items: int,
        weights: NDArray[np.float64] | None = None,
    ) -> "Incidence":
        """Returns R of distinct pairs."""
        held = np.ones(len(users), np.int32) if weights is None else weights
        by_user = sp.csr_matrix((held, (users, items)), shape=(num_users, num_items))
        return cls(by_user, by_user.T.tocsr())

    @functools.cached_property
    def user_degree(self) -> NDArray[Any]:
        """Items of a user [U]."""
        return np.diff(self.by_user.indptr)

    @functools.cached_property
    def squares(self) -> NDArray[Any]:
        """c_ii [N], whole numbers where R holds such."""
        kind = np.int64 if self.by_user.dtype.kind == "i" else np.float64
        weights = self.by_user.data.astype(np.float64) ** 2
        return np.bincount(self.by_user.indices, weights, minlength=self.by_user.shape[1]).astype(kind)


def co_occurrence(
    taken: Incidence, start: int, stop: int, num_neighbours: int, pairs: int = PAIRS, measure: Measure = "count"
) -> NDArray[np.int32]:
    """For items start to stop: the other items by the users that both have, most first, ties by item number.

    The rows of R^T R, whose off-diagonal entries are those numbers c_ij (UQF thesis, 4.3.2), a block at a time. A row
    ends with -1 where no further item shares a user. [stop - start, K].

    Args:
        taken: ones or weights.
        pairs: at most so many entries of the product are held at a time, but at least one item's.
        measure: what to order by: `count` is c_ij, `cosine` c_ij / sqrt(c_i c_j), with c_i = c_ii the users of an item.
    """
    rows = taken.by_item[start:stop]
    users = None if measure == "count" else taken.squares
    best = np.full((stop - start, num_neighbours), -1, np.int32)
    for low, high in _blocks(rows, taken.user_degree, taken.by_user.shape[1], pairs):
        product = (rows[low:high] @ taken.by_user).tocsr()
        best[low:high] = _first(product, start + low, num_neighbours, users)
    return best


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
