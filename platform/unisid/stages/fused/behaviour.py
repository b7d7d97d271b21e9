"""How a fusion learns from what users took after what, beside the items' other modalities.

A step is some windows of users' training sequences, and the distinct items that are targets in any of them: every
worker computes which these are, and takes its own windows. So W workers learn what one learns, but for what dropout
draws. It stops by the same loss of validation samples. Test items are never read. N items, n windows, T items of one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unisid.artifacts.catalog import VALID, Catalog
from unisid.baselines.parts.learned import Windows
from unisid.compute import Metrics, Worker
from unisid.errors import DataError
from unisid.fusion import Following, SequenceFusion
from unisid.legend import LOSS
from unisid.ops.padding import PAD, padded
from unisid.ops.seeded import seed_of
from unisid.stages.baseline.training import Sequences, Steps
from unisid.stages.fused.reading import Reader
from unisid.training.objective import Parts

MOST_VALIDATED = 4096
"""Validation samples whose loss is taken: all, or so many drawn by the seed."""
DRAWS, VALIDATION = 1, 2
"""The streams that negatives and validation samples are drawn from."""


@dataclass
class NextItems:
    """The objective of a fusion of sequences, for one worker."""

    fusion: SequenceFusion
    worker: Worker
    reader: Reader
    catalog: Catalog
    batch_size: int
    seed: int
    higher_is_better = LOSS.higher_is_better

    def __post_init__(self) -> None:
        """Raises DataError where no validation samples say when to stop, or users are fewer than workers."""
        self.model: nn.Module = self.fusion
        self.steps = Steps(self.worker, self.catalog, self.batch_size, self.seed, "fused")
        rows = self.catalog.samples(VALID)
        if not len(rows):
            raise DataError(
                f"fused: {self.catalog.place} has no validation samples, which say when a fusion of sequences stops"
            )
        drawn = np.random.default_rng((self.seed, VALIDATION)).permutation(rows)[:MOST_VALIDATED]
        self.valid = np.sort(drawn)

    def steps_per_epoch(self) -> int:
        return self.steps.per_epoch()

    def batches(self, epoch: int) -> Iterator[Following]:
        for whole, own in self.steps.windows(epoch):
            yield self.following(whole.items[:, :-1], whole.items[:, 1:], own).to(self.worker.device)

    def following(self, read: Int[Tensor, "n T"], targets: Int[Tensor, "n T"], own: Windows) -> Following:
        """A worker's share of a step whose windows all workers know."""
        distinct, counts = np.unique(targets[targets != PAD].numpy(), return_counts=True)
        share = slice(own.first, own.first + len(own))
        mine = targets[share]
        items, place = self.reader.read(distinct).view(np.arange(len(distinct)), np.zeros(len(distinct), np.int64))
        order = np.argsort(place)  # as the items lie
        times = np.bincount(np.searchsorted(distinct, mine[mine != PAD].numpy()), minlength=len(distinct))
        draws = own.shared_draws(self.fusion.num_negatives, stream=DRAWS)
        return Following(
            read[share], mine, items, torch.from_numpy(counts[order]), torch.from_numpy(times[order]), draws.float()
        )

    def loss(self, batch: Following) -> tuple[Float[Tensor, ""], Parts]:
        found = self.fusion.loss(batch)
        shown = {f"{name}_loss": part.detach() / batch.num_targets for name, part in found.items() if name != "loss"}
        return found["loss"], shown

    def validate(self) -> Metrics:
        """The mean loss of validation samples, each with one target, and its parts; beside them, as `next_chance` and
        so on, what equal scores would have."""
        starts = range(0, len(self.valid), self.batch_size)
        totals: dict[str, Tensor] = {}
        for number in range(self.worker.rank, max(len(starts), self.worker.rank + 1), self.worker.size):
            start = starts[number % len(starts)]  # a worker without a batch takes another's, for its names alone
            batch = self._sample(self.valid[start : start + self.batch_size], start).to(self.worker.device)
            found = self.fusion.loss(batch)
            found |= {f"{name}_chance": value for name, value in self.fusion.chance(batch).items()}
            for name, value in found.items():
                totals[name] = totals.get(name, 0.0) + value.double() * (number < len(starts))
        summed = self.worker.all_reduce(torch.stack(list(totals.values()))) / len(self.valid)
        means = dict(zip(totals, summed.tolist(), strict=True))
        return {"score": means.pop("loss"), **means}

    def _sample(self, rows: Int[np.ndarray, " n"], number: int) -> Following:
        """Validation samples, each with its last item alone as a target."""
        items, lengths = self.catalog.history(rows)
        read = padded(items, lengths, width=1)
        targets = torch.full_like(read, PAD)
        targets[torch.arange(len(rows)), torch.from_numpy(lengths) - 1] = torch.from_numpy(
            self.catalog.item[rows].astype(np.int64)
        )
        own = Windows(read, torch.from_numpy(self.catalog.user[rows].astype(np.int64)), seed_of(self.seed, number))
        return self.following(read, targets, own)


def learned_items(catalog: Catalog) -> Bool[Tensor, " N"]:
    """The items of the training sequences: of users of at least two."""
    sequences = Sequences.of(catalog, "fused")
    starts, lengths = sequences.starts, sequences.lengths
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    found = np.zeros(catalog.num_items, bool)
    found[sequences.items[np.repeat(starts, lengths) + within]] = True
    return torch.from_numpy(found)
