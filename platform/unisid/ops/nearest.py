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

RECALL = 0.97
"""So many lists are searched that at least this share of true neighbours is found, ..."""
FEWEST, MOST = 8, 64
"""... between these numbers of lists, or, where that is more, 1 in `SHARE` of them."""
SHARE = 32
QUERIES = 256
"""Vectors of which the true neighbours are known."""
TIED = 1e-6
"""Cosines that differ by less are equal: another of equal vectors is as good a neighbour."""


@dataclass(frozen=True)
class Nearest:
    """An index over all vectors; `vectors` are scaled to length one, so that a dot product is the cosine."""

    vectors: NDArray[np.float32]
    index: Any  # FAISS's
    num_neighbours: int
    """K."""
    recall: float
    """The share of true neighbours that it finds, of some vectors."""
    searched: int
    """How many lists are searched for a vector; 0: it is compared with all vectors."""

    @classmethod
    def build(
        cls, vectors: NDArray[np.float32], num_neighbours: int, seed: int = 0, exact_limit: int = EXACT_LIMIT
    ) -> "Nearest":
        """Index vectors [N, D]. All of a machine's GPUs are used where FAISS was built for them.

        Above the limit there are 4 sqrt(N) lists, and the work of a query grows with sqrt(N) as long as a fixed number
        of them is enough.
        """
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
        recall, searched = (1.0, 0) if exact else _searched(index, lists, unit, num_neighbours, seed)
        return cls(unit, index, num_neighbours, recall, searched)

    def neighbours(self, start: int, stop: int) -> NDArray[np.int32]:
        """For vectors start to stop: the nearest others, nearest first, ended by -1. [stop - start, K]."""
        return _without_self(self.index.search(self.vectors[start:stop], self.num_neighbours + 1)[1], start)


def _inverted_lists(width: int, lists: int, seed: int) -> Any:
    import faiss

    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = seed + 1
    return index


def _searched(index: Any, lists: int, unit: NDArray[np.float32], num_neighbours: int, seed: int) -> tuple[float, int]:
    """Set how many lists a query searches: doubled until enough is found. Returns the recall, and how many."""
    import faiss

    queries = unit[np.sort(np.random.default_rng([seed, 1]).permutation(len(unit))[:QUERIES])]
    width = min(num_neighbours + 1, len(unit))
    farthest = faiss.knn(queries, unit, width, metric=faiss.METRIC_INNER_PRODUCT)[0][:, -1:]
    parameters = faiss.GpuParameterSpace() if faiss.get_num_gpus() > 0 else faiss.ParameterSpace()
    searched, most = min(FEWEST, lists), min(lists, max(MOST, lists // SHARE))
    while True:
        parameters.set_index_parameter(index, "nprobe", searched)
        hits = (index.search(queries, width)[0] >= farthest - TIED).sum(axis=1) - 1  # its own is no neighbour
        recall = float(hits.mean()) / max(1, width - 1)
        if recall >= RECALL or searched == most:
            return recall, searched
        searched = min(2 * searched, most)


def _without_self(found: NDArray[np.int64], start: int) -> NDArray[np.int32]:
    """Drop each row's own number; where many equal vectors have crowded it out, the last one."""
    own = found == np.arange(start, start + len(found))[:, None]
    own[~own.any(axis=1), -1] = True
    return found[~own].reshape(len(found), -1).astype(np.int32)
