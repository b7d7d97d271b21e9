"""How a recommender is judged while it learns: all items are ranked for some validation samples, as serving would.

S validation samples.
"""

from typing import Any

import numpy as np
import torch

from unisid.artifacts.catalog import VALID, Catalog
from unisid.artifacts.metrics import HistoryRule
from unisid.artifacts.sequences import Sequences
from unisid.backbones import Backbone, Index, Limits
from unisid.compute import Metrics, Worker
from unisid.ops import ranking
from unisid.training.feed import Block, padded

CUTOFF = 10
"""Of the NDCG that decides."""


class Judge:
    """Ranks by the backbone's own search; each sample by one worker."""

    def __init__(
        self,
        worker: Worker,
        catalog: Catalog,
        index: Index,
        sequences: Sequences,
        *,
        samples: int,
        history: HistoryRule,
        width: int,
        seed: int,
        at_once: int,
    ) -> None:
        """`samples` of the validation split are drawn by seed (0 for all); `width` is the search's beams;
        `index` lies on the worker's device.

        Raises:
            ArtifactError: the sequences are not this catalog's.
        """
        self.worker, self.width, self.at_once = worker, width, at_once
        self.catalog, self.targets = catalog, sequences.rows(catalog, VALID)
        self.excludes = history == "excluded"
        self.index = index
        self.valid = Block.of(sequences.table("valid", ["history", "target"]))
        number = len(self.valid.lengths)
        self.rows = np.random.default_rng(seed).permutation(number)[: min(number, samples or number)]

    def __call__(self, backbone: Backbone) -> Metrics:
        """Mean NDCG, as the score, and hit rate at the cutoff, under the best of the choices of search, which stays."""
        choices = backbone.choices()
        found = []
        for choice in choices:
            backbone.choose(choice)
            found.append(self._score(backbone))
        best = max(range(len(found)), key=lambda number: found[number]["score"])
        backbone.choose(choices[best])
        return found[best] | dict(choices[best])

    def _score(self, backbone: Backbone) -> dict[str, float]:
        sums = torch.zeros(3, dtype=torch.float64)
        rows = self.rows[self.worker.rank :: self.worker.size]
        rows = rows[np.argsort(self.valid.lengths[rows], kind="stable")]
        for start in range(0, len(rows), self.at_once):
            values = ranking.metric_values(self._ranks(backbone, rows[start : start + self.at_once]), [CUTOFF])
            sums += torch.tensor([*values.sum(0), len(values)])
        rate, ndcg, count = self.worker.all_reduce(sums.to(self.worker.device)).tolist()
        return {"score": ndcg / count, f"hr_{CUTOFF}": rate / count}

    def _ranks(self, backbone: Backbone, rows: Any) -> Any:
        device = self.worker.device
        histories = self.valid.batch(rows).histories.to(device)
        k = min(CUTOFF, len(self.index.codes))
        found = backbone.search(histories, self.index, k=k, beam=self.width, limits=Limits(self._taken(rows)))
        targets = torch.from_numpy(self.valid.targets[rows].astype(np.int64)).to(device)
        return ranking.rank_in_list(found.items, found.scores, targets, found.items >= 0).cpu().numpy()

    def _taken(self, rows: Any) -> torch.Tensor | None:
        """What the samples' users took before, where that is not to be answered."""
        if not self.excludes:
            return None
        items, lengths = self.catalog.past(self.targets[rows])
        return padded(items, np.cumsum(lengths) - lengths, lengths).to(self.worker.device)
