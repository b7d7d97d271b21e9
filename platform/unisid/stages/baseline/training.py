"""How a baseline learns: windows of users' training sequences, and the validation that decides which weights are kept.

What a step sees is a pure function of (seed, epoch, step): every worker computes the whole order and takes its rows, so
W workers learn what one learns, but for what dropout draws. U users, E items of all of them, n windows, T the most
items that a model reads.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unisid.artifacts.catalog import TRAIN, VALID, Catalog
from unisid.baselines import rank_targets
from unisid.baselines.parts.learned import LearnedBaseline, Windows
from unisid.compute import Metrics, Worker
from unisid.errors import DataError
from unisid.legend import NDCG
from unisid.ops.padding import padded
from unisid.ops.ranking import metric_values
from unisid.ops.seeded import seed_of
from unisid.training.columns import owned
from unisid.training.objective import Parts

CUTOFF = 10
"""Of the NDCG that decides."""
STEPS_PER_BLOCK = 32
"""Windows of so many steps are brought together by length, so that little is filled up."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """What users took in training, oldest first; users with fewer than two items teach nothing of order."""

    items: Int[np.ndarray, " E"]
    users: Int[np.ndarray, " U"]
    """Those with at least two."""
    starts: Int[np.ndarray, " U"]
    """Where each begins among the items."""
    lengths: Int[np.ndarray, " U"]

    @classmethod
    def of(cls, catalog: Catalog, stage: str = "baseline") -> "Sequences":
        """Raises DataError, in a stage's name, where no user took two items."""
        rows = np.flatnonzero(catalog.split == TRAIN)
        lengths = np.bincount(catalog.user[rows], minlength=catalog.num_users)
        users = np.flatnonzero(lengths > 1)
        if not len(users):
            raise DataError(
                f"{stage}: {catalog.place} has no user with two training interactions among "
                f"{catalog.num_users}; a sequence needs them"
            )
        starts = np.cumsum(lengths) - lengths
        return cls(catalog.item[rows].astype(np.int64), users, starts[users], lengths[users])

    def cut(
        self, most: int, rng: np.random.Generator
    ) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Windows of at most `most` + 1 items in which every item but a user's first is a target once.

        A window's first item is the last target of the one before. Where longer sequences are cut is drawn.

        Example, most = 2, a user's items [a, b, c, d, e, f] (five targets), phase 1: (5 - 1) / 2 + 1 = 3 windows:
            [a, b]        [b, c, d]        [d, e, f]
        Phase 0 gives [a, b, c], [c, d, e], [e, f]. The target of each item is the next item of its window.

        Returns:
            Each window's place in `users`, its first item's place in `items`, and its number of items.
        """
        targets = self.lengths - 1
        phase = np.where(targets > most, rng.integers(0, most, len(targets)), 0)
        counts = -(-(targets - phase) // most) + (phase > 0)
        of = np.repeat(np.arange(len(counts)), counts)
        number = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts) - (phase > 0)[of]
        begin = np.maximum(0, phase[of] + number * most)
        end = np.minimum(targets[of], phase[of] + (number + 1) * most)
        return of, self.starts[of] + begin, end - begin + 1


class Steps:
    """The windows of every step of every epoch, and which of them are this worker's."""

    def __init__(self, worker: Worker, catalog: Catalog, batch_size: int, seed: int, stage: str = "baseline") -> None:
        """Raises DataError, in a stage's name, where the sequences are fewer than the workers."""
        self.worker, self.batch_size, self.seed = worker, batch_size, seed
        self.most, self.sequences = catalog.history_length, Sequences.of(catalog, stage)
        if len(self.sequences.users) < worker.size:
            raise DataError(
                f"{stage}: {worker.size} workers share {len(self.sequences.users)} users' sequences; "
                f"{stage}.pool.workers must be at most that"
            )

    def per_epoch(self) -> int:
        """Of the first epoch; how sequences are cut may make another a step longer or shorter."""
        return len(self._order(0)[0])

    def windows(self, epoch: int) -> Iterator[tuple[Windows, Windows]]:
        """Of every step, all workers' windows, and this worker's share of them."""
        order, (of, starts, lengths) = self._order(epoch)
        sequences = self.sequences
        for step, rows in enumerate(order):
            within = np.arange(lengths[rows].sum()) - np.repeat(np.cumsum(lengths[rows]) - lengths[rows], lengths[rows])
            items = sequences.items[np.repeat(starts[rows], lengths[rows]) + within]
            users = torch.from_numpy(sequences.users[of[rows]])
            whole = Windows(padded(items, lengths[rows], width=1), users, seed_of(self.seed, epoch, step), of=len(rows))
            yield whole, whole.share(owned(len(rows), self.worker.rank, self.worker.size))

    def _order(
        self, epoch: int
    ) -> tuple[list[Int[np.ndarray, " _"]], tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, " n"]]]:
        """The windows of every step of an epoch, and the windows."""
        rng = np.random.default_rng((self.seed, epoch))
        windows = self.sequences.cut(self.most, rng)
        order = rng.permutation(len(windows[0]))
        block = np.arange(len(order)) // (self.batch_size * STEPS_PER_BLOCK)
        order = order[np.lexsort((windows[2][order], block))]
        steps = np.array_split(order, max(1, len(order) // self.batch_size))
        return [steps[step] for step in rng.permutation(len(steps))], windows


class NextItem:
    """The objective of a baseline."""

    higher_is_better: bool = NDCG.higher_is_better

    def __init__(
        self, worker: Worker, model: LearnedBaseline, catalog: Catalog, batch_size: int, valid_samples: int, seed: int
    ) -> None:
        """Raises DataError where the catalog has no validation samples, or fewer sequences than workers."""
        self.model: nn.Module = model
        self.baseline, self.worker, self.catalog = model, worker, catalog
        self.steps = Steps(worker, catalog, batch_size, seed)
        rows = catalog.samples(VALID)
        if not len(rows):
            raise DataError(f"baseline: {catalog.place} has no validation samples, which say when to stop")
        drawn = np.random.default_rng(seed).permutation(rows)[: valid_samples or len(rows)]
        self.valid = np.sort(drawn)[worker.rank :: worker.size]

    def steps_per_epoch(self) -> int:
        """Of the first epoch; how sequences are cut may make another a step longer or shorter."""
        return self.steps.per_epoch()

    def batches(self, epoch: int) -> Iterator[Windows]:
        for _, own in self.steps.windows(epoch):
            yield own.to(self.worker.device)

    def loss(self, windows: Windows) -> tuple[Float[Tensor, ""], Parts]:
        return self.baseline.loss(windows), {}

    def validate(self) -> Metrics:
        """Mean NDCG, as the score, and hit rate at the cut-off, with the user's past excluded, after the weights of a
        score's parts were fitted."""
        weights = self.baseline.blend(self.catalog, self.valid, self.worker.all_reduce)
        sums = torch.zeros(3, dtype=torch.float64)
        for ranks, _ in rank_targets(self.baseline, self.catalog, self.valid):
            sums += torch.tensor([*metric_values(ranks, (CUTOFF,))[:, :2].sum(0), len(ranks)])
        rate, ndcg, count = self.worker.all_reduce(sums.to(self.worker.device)).tolist()
        return {"score": ndcg / count, f"hr_{CUTOFF}": rate / count} | weights
