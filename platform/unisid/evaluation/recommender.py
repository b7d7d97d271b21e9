"""The recommender's ranks of test targets, decoded by workers. B samples, k list length, N items."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.metrics import HISTORY_RULES
from unisid.artifacts.store import Place
from unisid.compute import Pool
from unisid.ops.ranking import rank_in_list
from unisid.serving.recommender import Recommender


@dataclass(frozen=True)
class Search:
    """What is listed for a sample."""

    length: int
    """k; a target that is not among so many has no rank."""
    allowed: NDArray[np.bool_] | None = None
    """[N] the items that may be listed; None: all."""


class TargetRanker:
    """A worker's step: a range of samples -> the ranks of their targets. The model loads once a worker."""

    def __init__(
        self,
        places: Mapping[str, Place],
        searches: Mapping[str, Search],
        pool: Pool,
        batch_size: int,
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        """`rows` are the catalog's rows to rank, by default its test samples. A search named "" fills the columns of
        the history rules, another "NAME/RULE"."""
        loaded = Recommender.load(places["model"], places["codes"], places["catalog"], pool.device())
        self.recommender = dataclasses.replace(loaded, batch_size=batch_size)
        self.catalog = Catalog.read(places["catalog"])
        self.rows = self.catalog.samples(TEST) if rows is None else rows
        self.searches = searches

    def __call__(self, part: pa.Table) -> pa.Table:
        start, stop = part["start"][0].as_py(), part["stop"][0].as_py()
        rows = self.rows[start:stop]
        past, lengths = self.catalog.past(rows)
        histories = np.split(past, np.cumsum(lengths)[:-1])  # the recommender reads the end of each
        targets = torch.from_numpy(self.catalog.item[rows].astype(np.int64))
        ranks = {
            f"{name}/{rule}" if name else rule: self._ranks(histories, targets, rule == "excluded", search)
            for name, search in self.searches.items()
            for rule in HISTORY_RULES
        }
        return pa.table({"row": np.arange(start, stop), **ranks})

    def _ranks(
        self, histories: list[NDArray[Any]], targets: torch.Tensor, exclude: bool, search: Search
    ) -> NDArray[np.float64]:
        found = self.recommender.rank(histories, search.length, exclude_history=exclude, allowed=search.allowed)
        items, scores = (torch.from_numpy(array) for array in found)
        return rank_in_list(items, scores, targets, items >= 0).numpy()
