"""Tables of related items: for every item the M others most related to it, by one relation each; and what they recall.

    mass(b | history) = sum over the history's latest items a of recency^age(a) * table[a, b]

Relations: what follows (`ops.transitions`), alike vectors, alike words, and one relation after another (what follows
the items that are alike, what is like the items that follow). N items, M neighbours an item, P positions, R latest
items of a history, E = R * M entries, J items that are recalled, C candidates, W width of vectors.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from unisid.ops.nearest import Nearest
from unisid.ops.padding import PAD as PAD

AT_ONCE = 1 << 15
"""Items whose rows are made at once."""
COMMON = 1000
"""A word of more titles than this relates nothing: the cost of a table stays linear in the number of items."""
LIKENESSES = 10
"""Items whose relations a new one takes over, by each way of being like them."""
POWER_OF_COSINE = 4
"""Of the cosine of two vectors, as their relation: the near count far more than the far."""
POWER_OF_WORDS = 2
"""Of the cosine of two titles' words."""


class Table(NamedTuple):
    """Every item's neighbours, the strongest first."""

    items: Int[Tensor, "N M"]
    """int32; PAD where an item has fewer."""
    values: Float[Tensor, "N M"]
    """How strong each relation is; 0 beside PAD."""

    @classmethod
    def strongest(cls, matrix: sp.csr_matrix, keep: int) -> "Table":
        """The `keep` largest entries above 0 of every row; among equals the lower column."""
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        order = np.lexsort((matrix.indices, -matrix.data, rows))
        place = np.arange(len(rows)) - matrix.indptr[rows]
        kept = (place < keep) & (matrix.data[order] > 0)
        items = np.full((matrix.shape[0], keep), PAD, np.int32)
        values = np.zeros((matrix.shape[0], keep), np.float32)
        items[rows[kept], place[kept]] = matrix.indices[order][kept]
        values[rows[kept], place[kept]] = matrix.data[order][kept]
        return cls(torch.from_numpy(items), torch.from_numpy(values))

    @classmethod
    def empty(cls, num_items: int, keep: int) -> "Table":
        """No neighbours."""
        return cls(torch.full((num_items, keep), PAD, dtype=torch.int32), torch.zeros(num_items, keep))

    def matrix(self) -> sp.csr_matrix:
        """As a matrix [N, N]."""
        items, values = self.items.numpy(), self.values.numpy().astype(np.float64)
        rows, columns = np.nonzero(items != PAD)
        return sp.csr_matrix((values[rows, columns], (rows, items[rows, columns])), shape=(len(items), len(items)))

    def shares(self) -> sp.csr_matrix:
        """The same with rows that add up to 1, or to 0 where an item has no neighbour."""
        items, values = self.items.numpy(), self.values.numpy().astype(np.float64)
        total = values.sum(1)
        rows, columns = np.nonzero(items != PAD)
        share = values[rows, columns] / total[rows]
        return sp.csr_matrix((share, (rows, items[rows, columns])), shape=(len(items), len(items)))

    def then(self, other: "Table") -> "Table":
        """The chance to reach an item in two steps, the second by `other`; never the item where it began.

        >>> one = Table(torch.tensor([[1], [2], [-1]]).int(), torch.tensor([[5.0], [5.0], [0.0]]))
        >>> one.then(one).items.tolist()  # 0 -> 1 -> 2; the row of 2 is empty, so nothing lies two steps behind 1
        [[2], [-1], [-1]]
        """
        first, second, keep = self.shares(), other.shares(), other.items.shape[1]
        parts = []
        for start in range(0, first.shape[0], AT_ONCE):
            reached = (first[start : start + AT_ONCE] @ second).tocoo()
            away = reached.col != reached.row + start
            matrix = (reached.data[away], (reached.row[away], reached.col[away]))
            parts.append(Table.strongest(sp.csr_matrix(matrix, shape=reached.shape), keep))
        return Table(*(torch.cat(part) for part in zip(*parts, strict=True)))


def extended(relation: Table, alike: Sequence[Table], first: int) -> Table:
    """A relation with rows and columns for the items from `first` on, of which it says nothing: those of the items that
    they are like, by share.

        relation + S relation + relation S' + S relation S',    S[new, old] = the share of old among what new is like

    Args:
        alike: by each of which every item has neighbours, or none; the nearest `LIKENESSES` that are older count.

    >>> next = Table(torch.tensor([[1, -1], [-1, -1], [-1, -1]]).int(), torch.tensor([[8.0, 0], [0, 0], [0, 0]]))
    >>> like = Table(torch.tensor([[-1], [2], [1]]).int(), torch.tensor([[0.0], [0.5], [0.5]]))  # 2 is new and like 1
    >>> extended(next, [like], 2).items.tolist()  # 0 is followed by 1, and so by 2
    [[1, 2], [-1, -1], [-1, -1]]
    """
    keep, matrix = relation.items.shape[1], relation.matrix()
    share = sum((_older(each, first) for each in alike), sp.csr_matrix(matrix.shape))
    total = np.asarray(share.sum(1)).ravel()
    share = sp.diags_array(1 / np.maximum(total, 1e-30)) @ share
    both = (sp.eye_array(len(relation.items)) + share).tocsr()
    widened = (matrix @ both.T).tocsr()
    starts = range(0, len(relation.items), AT_ONCE)
    parts = [Table.strongest(sp.csr_matrix(both[start : start + AT_ONCE] @ widened), keep) for start in starts]
    return Table(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _older(alike: Table, first: int) -> sp.csr_matrix:
    """Rows of the items from `first` on: shares of the nearest that are older."""
    items, values = alike.items.numpy(), np.where(alike.items.numpy() < first, alike.values.numpy(), 0.0)
    values[:first] = 0.0
    values = np.where((values > 0).cumsum(1) <= LIKENESSES, values, 0.0).astype(np.float64)
    rows, columns = np.nonzero(values)
    share = values[rows, columns] / values.sum(1)[rows]
    return sp.csr_matrix((share, (rows, items[rows, columns])), shape=(len(items), len(items)))


def alike_vectors(vectors: NDArray[np.float32], keep: int) -> Table:
    """The nearest others by cosine; the relation is cosine^4. A vector of zeros has no neighbours."""
    nearest, parts = Nearest.build(vectors, min(keep, len(vectors) - 1)), []
    for start in range(0, len(vectors), AT_ONCE):
        stop = min(start + AT_ONCE, len(vectors))
        found = nearest.neighbours(start, stop)
        own = nearest.vectors[start:stop]
        cosine = np.einsum("nw,nkw->nk", own, nearest.vectors[found.clip(0)])
        values = np.where(found >= 0, cosine, 0.0).clip(0) ** POWER_OF_COSINE
        rows, columns = np.nonzero(values)
        matrix = (values[rows, columns], (rows, found[rows, columns]))
        parts.append(Table.strongest(sp.csr_matrix(matrix, shape=(stop - start, len(vectors))), keep))
    return Table(*(torch.cat(part) for part in zip(*parts, strict=True)))


def alike_words(texts: Sequence[str], keep: int) -> Table:
    """The others of most words in common, rare words counting more: the squared cosine of tf-idf vectors."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    counter = TfidfVectorizer(sublinear_tf=True, max_df=COMMON, dtype=np.float32)
    try:
        words = counter.fit_transform(texts)
    except ValueError:  # no text holds a word that counts
        return Table.empty(len(texts), keep)
    parts = []
    for start in range(0, len(texts), AT_ONCE):
        common = (words[start : start + AT_ONCE] @ words.T).tocoo()
        others = common.col != common.row + start
        matrix = (common.data[others] ** POWER_OF_WORDS, (common.row[others], common.col[others]))
        parts.append(Table.strongest(sp.csr_matrix(matrix, shape=common.shape), keep))
    return Table(*(torch.cat(part) for part in zip(*parts, strict=True)))


def entries(
    table: Table, latest: Int[Tensor, "P R"], recency: float
) -> tuple[Int[Tensor, "P E"], Float[Tensor, "P E"]]:
    """All neighbours of a history's latest items, and the weight of each; PAD and 0 where there are fewer.

    Args:
        latest: the latest first; PAD fills short rows.
    """
    weight = recency ** torch.arange(latest.shape[1], device=latest.device, dtype=table.values.dtype)
    rows = latest.clamp_min(0)
    mass = (table.values[rows] * (weight * (latest != PAD))[..., None]).flatten(1)
    return torch.where(mass > 0, table.items[rows].flatten(1).long(), PAD), mass


def mass_of_all(found: Int[Tensor, "P E"], mass: Float[Tensor, "P E"], num_items: int) -> Float[Tensor, "P N"]:
    """The mass of every item, from `entries`."""
    return mass.new_zeros(len(found), num_items).scatter_add(1, found.clamp_min(0), mass)


def recall(
    found: Int[Tensor, "P E"], mass: Float[Tensor, "P E"], size: int
) -> tuple[Int[Tensor, "P J"], Float[Tensor, "P J"]]:
    """The items of most mass from `entries`, largest first; PAD and mass 0 where there are fewer than `size`."""
    found, before, ends = _runs(found, mass)
    last = torch.ones_like(found, dtype=torch.bool)
    last[:, :-1] = found[:, 1:] != found[:, :-1]
    single = torch.where(last & (found != PAD), ends - before, 0.0).float()
    top = single.topk(min(size, single.shape[1]), dim=1)
    return torch.where(top.values > 0, found.gather(1, top.indices), PAD), top.values


def mass_of(
    found: Int[Tensor, "P E"], mass: Float[Tensor, "P E"], candidates: Int[Tensor, "P C"]
) -> Float[Tensor, "P C"]:
    """The mass of some items, from `entries`."""
    found, before, ends = _runs(found, mass)
    place = torch.searchsorted(found, candidates.contiguous(), right=True) - 1
    at = place.clamp_min(0)
    there = (place >= 0) & (found.gather(1, at) == candidates)
    return torch.where(there, (ends - before).gather(1, at), 0.0).float()


def _runs(
    found: Int[Tensor, "P E"], mass: Float[Tensor, "P E"]
) -> tuple[Int[Tensor, "P E"], Float[Tensor, "P E"], Float[Tensor, "P E"]]:
    """The entries in order of their items; the running sum of mass before each item's first entry, and up to each.

    >>> [part.tolist() for part in _runs(torch.tensor([[7, 3, 7]]), torch.tensor([[1.0, 2.0, 4.0]]))]
    [[[3, 7, 7]], [[0.0, 2.0, 2.0]], [[2.0, 3.0, 7.0]]]
    """
    found, order = found.sort(dim=1, stable=True)
    ends = mass.gather(1, order).double().cumsum(1)
    first = torch.ones_like(found, dtype=torch.bool)
    first[:, 1:] = found[:, 1:] != found[:, :-1]
    start = torch.nn.functional.pad(ends[:, :-1], (1, 0))
    return found, torch.where(first, start, 0.0).cummax(1).values, ends
