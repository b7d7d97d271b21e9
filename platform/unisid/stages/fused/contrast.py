"""How a fusion learns: an item near those that share its users and near those whose text is alike, far from others.

B anchors of a global batch, b those of this worker, K neighbours, M modalities. What a step sees (which anchors,
which positives, what is hidden) is a pure function of (seed, epoch, step), drawn for the whole global batch by every
worker: W workers learn what one learns.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unisid.artifacts.shards import Shards
from unisid.compute import Metrics, Worker
from unisid.fusion import Batch, Gather, LearnedFusion, Loss
from unisid.legend import LOSS
from unisid.ops.contrast import known
from unisid.stages.fused.neighbours import neighbours
from unisid.stages.fused.reading import Reader
from unisid.training.objective import Parts

VALIDATION = 2**32 - 1
"""Stands in for the epoch where the draws of validation are seeded."""


@dataclass(frozen=True)
class Plan:
    """What a global batch is: item numbers, and what is hidden of the anchors."""

    anchors: Int[np.ndarray, " B"]
    structure: Int[np.ndarray, " B"]
    semantic: Int[np.ndarray, " B"]
    hidden: Int[np.ndarray, " B"]
    """0: nothing; m + 1: the m-th modality."""
    structure_known: Int[np.ndarray, "B K"]
    """The anchors' neighbours by shared users."""
    semantic_known: Int[np.ndarray, "B K"]
    seed: int
    """Of what is drawn once for all items of all shares."""


@dataclass
class Contrast:
    """The objective of the fused stage, for one worker."""

    fusion: LearnedFusion
    worker: Worker
    reader: Reader
    loss_config: Loss
    tables: tuple[Shards, Shards]
    """Structure and semantic neighbours."""
    num_items: int
    batch_size: int
    seed: int
    higher_is_better = LOSS.higher_is_better

    def __post_init__(self) -> None:
        self.model: nn.Module = self.fusion
        self.dropped = self.loss_config.dropped(tuple(self.reader.roles))
        shuffled = np.random.default_rng([self.seed, VALIDATION, 0]).permutation(self.num_items)
        held_out = min(self.num_items - 1, max(1, round(self.loss_config.held_out * self.num_items)))
        self.held_out, self.learned = np.sort(shuffled[:held_out]), np.sort(shuffled[held_out:])

    def steps_per_epoch(self) -> int:
        return max(1, len(self.learned) // self.batch_size)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """An epoch's incomplete last batch is dropped; a catalogue smaller than a batch is repeated to fill it."""
        steps = self.steps_per_epoch()
        shuffled = np.random.default_rng([self.seed, epoch]).permutation(self.learned)
        anchors = np.resize(shuffled, (steps, self.batch_size))

        def prepare(step: int) -> Batch:
            generator = np.random.default_rng([self.seed, epoch, step])
            plan = self.plan(anchors[step], generator, self.dropped)
            return self.share(plan, self.worker.rank, self.worker.size)

        return _ahead(prepare, steps)

    def plan(
        self, anchors: Int[np.ndarray, " B"], generator: np.random.Generator, dropped: Sequence[float] = ()
    ) -> Plan:
        """Draw one positive of each kind an anchor, and what is hidden of it: each modality with its probability.

        Of the shares (.1, .1), a draw of .05 hides the first modality, one of .15 the second, one of .2 nothing.
        """
        of_structure, of_semantic = (neighbours(table, anchors) for table in self.tables)
        structure, semantic = (_one_of(rows, generator) for rows in (of_structure, of_semantic))
        draw = generator.random(len(anchors))
        hidden = (np.searchsorted(np.cumsum(dropped), draw, side="right") + 1) % (len(dropped) + 1)
        seed = int(generator.integers(1 << 63))
        return Plan(anchors, structure, semantic, hidden.astype(np.int64), of_structure, of_semantic, seed)

    def share(self, plan: Plan, rank: int, size: int) -> Batch:
        """Worker `rank`'s equal share of a global batch, read and packed."""
        width, kinds = len(plan.anchors) // size, len(self.reader.roles) + 1
        own = slice(rank * width, (rank + 1) * width)
        anchors = plan.anchors[own]
        hidden = np.concatenate([plan.hidden[own], np.zeros(2 * width, np.int64)])
        keys = np.concatenate([anchors, plan.structure[own], plan.semantic[own]]) * kinds + hidden
        distinct, which = np.unique(keys, return_inverse=True)
        items, row = np.unique(distinct // kinds, return_inverse=True)
        read = self.reader.read(items)
        seen, place = read.view(row, distinct % kinds)
        batch = Batch(
            replace(seen, seed=plan.seed if size > 1 else None),
            torch.from_numpy(place[which]),
            {name: mean[row[which[:width]]] for name, mean in read.means().items()},
            torch.arange(own.start, own.stop),
            self._ignored(anchors, plan.structure_known[own], plan.structure),
            self._ignored(anchors, plan.semantic_known[own], plan.semantic),
        )
        return batch.to(self.worker.device)

    def loss(self, batch: Batch) -> tuple[Float[Tensor, ""], Parts]:
        losses = self.losses(batch, self.worker.all_gather)
        return losses["loss"], {name: value.detach() for name, value in losses.items()}

    def losses(self, batch: Batch, gather: Gather) -> dict[str, Float[Tensor, ""]]:
        """The fusion's own loss of a share, and its parts; `gather` brings the rows of all shares together."""
        return self.fusion.loss(batch, self.loss_config, gather)

    def validate(self) -> Metrics:
        """The loss of held-out anchors, nothing hidden, the same positives every time; whole batches in turn.

        Beside it, as `structure_chance` and so on, what vectors that say nothing would have. A worker for which there
        is no batch takes one that another has, and counts nothing of it: the names of the parts are the fusion's.
        """
        starts = range(0, len(self.held_out), self.batch_size)
        totals: dict[str, Tensor] = {}
        for number in range(self.worker.rank, max(len(starts), self.worker.rank + 1), self.worker.size):
            start = starts[number % len(starts)]
            anchors = self.held_out[start : start + self.batch_size]
            generator = np.random.default_rng([self.seed, VALIDATION, start + 1])
            batch = self.share(self.plan(anchors, generator), 0, 1)
            found = self.losses(batch, lambda own: own)
            found |= {f"{name}_chance": value for name, value in self.fusion.chance(batch).items()}
            count = len(anchors) if number < len(starts) else 0
            for name, value in found.items():
                totals[name] = totals.get(name, torch.zeros_like(value)) + value * count
        summed = self.worker.all_reduce(torch.stack(list(totals.values()))) / len(self.held_out)
        means = dict(zip(totals, summed.tolist(), strict=True))
        return {"score": means.pop("loss"), **means}

    def _ignored(
        self, anchors: Int[np.ndarray, " b"], friends: Int[np.ndarray, "b K"], candidates: Int[np.ndarray, " B"]
    ) -> Bool[Tensor, "b B"]:
        if not self.loss_config.mask_known:
            return torch.zeros(len(anchors), len(candidates), dtype=torch.bool)
        return known(torch.from_numpy(anchors), torch.from_numpy(friends), torch.from_numpy(candidates))


def _one_of(rows: Int[np.ndarray, "B K"], generator: np.random.Generator) -> Int[np.ndarray, " B"]:
    """One entry of each row, none of the -1 at its end."""
    counts = (rows >= 0).sum(axis=1)
    chosen = (generator.random(len(rows)) * counts).astype(np.int64)
    return rows[np.arange(len(rows)), chosen].astype(np.int64)


def _ahead(prepare: Callable[[int], Batch], steps: int) -> Iterator[Batch]:
    """Prepare the next batch while the last is learned from."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(prepare, 0)
        for step in range(steps):
            batch = coming.result()
            if step + 1 < steps:
                coming = thread.submit(prepare, step + 1)
            yield batch
