"""The recommender's ranks of test targets, decoded by workers. S samples, B of them, k list length, N items."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Int

from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.metrics import HISTORY_RULES
from unisid.artifacts.store import Place
from unisid.compute import Pool
from unisid.evaluation.ranks import as_lists
from unisid.ops.ranking import rank_in_list
from unisid.serving.inputs import BEAM
from unisid.serving.recommender import Recommender


@dataclass(frozen=True)
class Search:
    """What is listed for a sample."""

    length: int
    """k; a target that is not among so many has no rank."""
    allowed: Bool[np.ndarray, " N"] | None = None
    """The items that may be listed; None: all."""


class TargetRanker:
    """A worker's step: a range of samples -> the ranks of their targets. The model loads once a worker."""

    def __init__(
        self,
        places: Mapping[str, Place],
        searches: Mapping[str, Search],
        pool: Pool,
        batch_size: int,
        rows: Int[np.ndarray, " S"] | None = None,
        listed: int = 0,
        test_samples: int = 0,
    ) -> None:
        """`places` may hold item vectors, which a model reads of items that it was not trained on. `rows` are the
        catalog's rows to rank, by default its test samples, at most `test_samples` where that is above 0. A search
        named "" fills the columns of the history rules, another "NAME/RULE"; with `listed`, so many of its items,
        history excluded, fill the column `listed`."""
        loaded = Recommender.load(places["model"], places["codes"], places["catalog"], pool.device(), places)
        self.recommender = dataclasses.replace(loaded, batch_size=batch_size)
        self.catalog = Catalog.read(places["catalog"])
        self.rows = self.catalog.samples(TEST, test_samples) if rows is None else rows
        self.searches, self.listed = searches, listed

    def __call__(self, part: pa.Table) -> pa.Table:
        start, stop = part["start"][0].as_py(), part["stop"][0].as_py()
        rows = self.rows[start:stop]
        past, lengths = self.catalog.past(rows)
        histories = np.split(past, np.cumsum(lengths)[:-1])  # the recommender reads the end of each
        targets = torch.from_numpy(self.catalog.item[rows].astype(np.int64))
        columns: dict[str, Any] = {"row": np.arange(start, stop)}
        for name, search in self.searches.items():
            for rule in HISTORY_RULES:
                width = max(BEAM, search.length)  # whatever serving keeps for this index: figures stay comparable
                found = self.recommender.rank(histories, search.length, rule == "excluded", width, search.allowed)
                items, scores = (torch.from_numpy(array) for array in found)
                ranks = rank_in_list(items, scores, targets, items >= 0).numpy()
                columns[f"{name}/{rule}" if name else rule] = ranks
                if self.listed and not name and rule == "excluded":
                    columns["listed"] = as_lists(found[0][:, : self.listed])
        return pa.table(columns)
