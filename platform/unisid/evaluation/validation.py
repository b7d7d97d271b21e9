"""How a recommender is judged while it learns: all items are ranked for some validation samples, as serving would.

S validation samples, B of them.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int, Num

from unisid.artifacts.catalog import VALID, Catalog
from unisid.artifacts.metrics import HistoryRule
from unisid.artifacts.sequences import Sequences
from unisid.backbones import Backbone, Batch, Index, Limits
from unisid.compute import Metrics, Worker
from unisid.decoding.beam import Beam
from unisid.ops import ranking
from unisid.ops.padding import padded
from unisid.progress import Reported
from unisid.training.feed import Block
from unisid.training.loop import PROGRESS_SECONDS

CUTOFF = 10
"""Of the NDCG that decides."""


class ValidationRanker:
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
        width: Beam,
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
        """Mean NDCG, as the score, and hit rate at the cutoff, after the weights of the score's parts were fitted."""
        weights = backbone.blend(map(self._sample, self._batches()), self.index, self._total)
        return self._score(backbone) | weights

    def _score(self, backbone: Backbone) -> dict[str, float]:
        sums = torch.zeros(3, dtype=torch.float64)
        progress = self.worker.progress if self.worker.rank == 0 else None
        moved = Reported(progress, "validation.samples", PROGRESS_SECONDS)
        for rows in self._batches():
            values = ranking.metric_values(self._ranks(backbone, rows), [CUTOFF])
            sums += torch.tensor([*values[:, :2].sum(0), len(values)])
            moved(int(sums[2]), len(range(self.worker.rank, len(self.rows), self.worker.size)))
        rate, ndcg, count = self.worker.all_reduce(sums.to(self.worker.device)).tolist()
        return {"score": ndcg / count, f"hr_{CUTOFF}": rate / count}

    def _batches(self) -> Iterator[Int[np.ndarray, " B"]]:
        """This worker's rows, those of like length together."""
        rows = self.rows[self.worker.rank :: self.worker.size]
        rows = rows[np.argsort(self.valid.lengths[rows], kind="stable")]
        yield from (rows[start : start + self.at_once] for start in range(0, len(rows), self.at_once))

    def _sample(self, rows: Int[np.ndarray, " B"]) -> tuple[Batch, Limits]:
        items, lengths = self.catalog.past(self.targets[rows])
        taken = padded(items, lengths).to(self.worker.device)
        limits = Limits(excluded=taken if self.excludes else None, taken=taken)
        return self.valid.batch(rows).to(self.worker.device), limits

    def _total(self, tensor: Num[torch.Tensor, "*s"]) -> Num[torch.Tensor, "*s"]:
        return self.worker.all_reduce(tensor)

    def _ranks(self, backbone: Backbone, rows: Int[np.ndarray, " B"]) -> Float[np.ndarray, " B"]:
        batch, limits = self._sample(rows)
        k = min(CUTOFF, len(self.index.codes))
        found = backbone.search(batch.histories, self.index, k=k, beam=self.width, limits=limits)
        return ranking.rank_in_list(found.items, found.scores, batch.targets, found.items >= 0).cpu().numpy()
