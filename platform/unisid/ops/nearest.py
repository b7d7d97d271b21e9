"""Nearest vectors by cosine, through FAISS: exact up to a million vectors, inverted lists above, on CPU or GPU.

N vectors, n queries, D width, K neighbours.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXACT_LIMIT = 1_000_000
"""Up to so many vectors every query is compared with all of them."""

TRAINING_POINTS = 64
"""Vectors a list from which the lists' centres are learned."""


@dataclass(frozen=True)
class Nearest:
    """An index over all vectors; `vectors` are scaled to length one, so that a dot product is the cosine."""

    vectors: NDArray[np.float32]
    index: Any  # FAISS's
    exact: bool

    @classmethod
    def build(cls, vectors: NDArray[np.float32], seed: int = 0, exact_limit: int = EXACT_LIMIT) -> "Nearest":
        """Index vectors [N, D]. All of a machine's GPUs are used where FAISS was built for them."""
        import faiss  # as in `ops.kmeans`

        unit = np.ascontiguousarray(vectors, np.float32)
        unit = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        exact = len(unit) <= exact_limit
        lists = max(1, int(4 * len(unit) ** 0.5))
        index = faiss.IndexFlatIP(unit.shape[1]) if exact else _inverted_lists(unit.shape[1], lists, seed)
        if faiss.get_num_gpus() > 0:
            index = faiss.index_cpu_to_all_gpus(index)
        sample = np.random.default_rng(seed).permutation(len(unit))[: TRAINING_POINTS * lists]
        index.train(unit[np.sort(sample)])  # nothing to learn where the search is exact
        index.add(unit)
        return cls(unit, index, exact)

    def neighbours(self, start: int, stop: int, num_neighbours: int) -> NDArray[np.int32]:
        """For vectors start to stop: the nearest others, nearest first, ended by -1. [stop - start, K]."""
        return _without_self(self.index.search(self.vectors[start:stop], num_neighbours + 1)[1], start)

    def recall(self, start: int, stop: int, found: NDArray[np.int32], sample: int = 32) -> float:
        """The share of true nearest neighbours among those found, over some evenly spaced rows of start to stop."""
        if self.exact:
            return 1.0
        shared = total = 0
        for row in np.unique(np.linspace(start, stop - 1, sample).astype(int)):
            closeness = self.vectors @ self.vectors[row]
            closeness[row] = -np.inf
            width = min(found.shape[1], len(closeness) - 1)
            true = np.argpartition(-closeness, width - 1)[:width]
            shared += len(np.intersect1d(true, found[row - start]))
            total += width
        return shared / max(1, total)


def _inverted_lists(width: int, lists: int, seed: int) -> Any:
    """Of all lists, 1 in 32 (at least 16) is searched."""
    import faiss

    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, lists, faiss.METRIC_INNER_PRODUCT)
    index.nprobe = min(lists, max(16, lists // 32))
    index.cp.seed = seed + 1
    return index


def _without_self(found: NDArray[np.int64], start: int) -> NDArray[np.int32]:
    """Drop each row's own number; where many equal vectors have crowded it out, the last one."""
    own = found == np.arange(start, start + len(found))[:, None]
    own[~own.any(axis=1), -1] = True
    return found[~own].reshape(len(found), -1).astype(np.int32)
