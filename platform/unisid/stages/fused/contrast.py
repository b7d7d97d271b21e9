"""How a fusion learns: an item near those that share its users and near those whose text is alike, far from others.

B anchors of a global batch, b those of this worker, K neighbours, W fused width. What a step sees (which anchors,
which positives, what is hidden) is a pure function of (seed, epoch, step), drawn for the whole global batch by every
worker: W workers learn what one learns.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from unisid.artifacts.shards import Shards
from unisid.bounds import NotNegative, Positive, Range, Settings, Share
from unisid.compute import Metrics, Worker
from unisid.fusion import Items, LearnedFusion
from unisid.ops.contrast import info_nce, known
from unisid.stages.fused.neighbours import neighbours
from unisid.stages.fused.reading import GRAPH_DROPPED, KEPT, TEXT_DROPPED, Reader

VALIDATION = 2**32 - 1
"""Stands in for the epoch where the draws of validation are seeded."""


@dataclass(frozen=True, kw_only=True)
class Loss(Settings):
    """L = w_s L_struc + (1 - w_s) L_sem + w_r L_recon (UQF thesis, 4.3.2)."""

    where: ClassVar[str] = "fused.loss"

    structure_weight: Share = 0.4
    """w_s: how much shared users count; alike texts count 1 - w_s."""
    reconstruction_weight: NotNegative = 0.2
    """w_r."""
    temperature: Positive = 0.05
    """tau."""
    modality_dropout: Share = 0.2
    """The share of anchors that lose their text or their graph, half each. Positives lose nothing."""
    mask_known: bool = True
    """Known neighbours of an anchor do not count as its negatives. False: the thesis's form."""
    held_out: Annotated[float, Range(0, 1, above=True, below=True)] = 0.05
    """The share of items that are anchors of the validation loss alone."""


@dataclass(frozen=True)
class Plan:
    """What a global batch is: item numbers, and what is hidden of the anchors."""

    anchors: NDArray[np.int64]
    structure: NDArray[np.int64]
    semantic: NDArray[np.int64]
    hidden: NDArray[np.int64]
    structure_known: NDArray[np.int32]
    """The anchors' neighbours by shared users [B, K]."""
    semantic_known: NDArray[np.int32]


@dataclass(frozen=True)
class Batch:
    """One worker's share of a plan. Every distinct (item, what is hidden) is encoded once."""

    items: Items
    where: Int[Tensor, "3*b"]
    """Where the anchors, then the structure positives, then the semantic positives lie among the items."""
    text: Float[Tensor, "b S"]
    """What is to be reconstructed of the anchors: mean token state, nothing hidden."""
    graph: Float[Tensor, "b G"]
    own: Int[Tensor, "b"]
    """The anchors' places in the global batch."""
    structure_ignored: Bool[Tensor, "b B"]
    semantic_ignored: Bool[Tensor, "b B"]


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
    higher_is_better = False

    def __post_init__(self) -> None:
        self.model: nn.Module = self.fusion
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
            plan = self.plan(anchors[step], generator, self.loss_config.modality_dropout)
            return self.share(plan, self.worker.rank, self.worker.size)

        return _ahead(prepare, steps)

    def plan(self, anchors: NDArray[np.int64], generator: np.random.Generator, dropout: float) -> Plan:
        """Draw one positive of each kind an anchor, and what is hidden of it."""
        rows = [neighbours(table, anchors) for table in self.tables]
        structure, semantic = (_one_of(row, generator) for row in rows)
        draw = generator.random(len(anchors))
        hidden = np.select([draw < dropout / 2, draw < dropout], [TEXT_DROPPED, GRAPH_DROPPED], KEPT)
        return Plan(anchors, structure, semantic, hidden.astype(np.int64), *rows)

    def share(self, plan: Plan, rank: int, size: int) -> Batch:
        """Worker `rank`'s equal share of a global batch, read and packed."""
        width = len(plan.anchors) // size
        own = slice(rank * width, (rank + 1) * width)
        anchors = plan.anchors[own]
        hidden = np.concatenate([plan.hidden[own], np.zeros(2 * width, np.int64)])
        keys = np.concatenate([anchors, plan.structure[own], plan.semantic[own]]) * 3 + hidden
        distinct, which = np.unique(keys, return_inverse=True)
        items, row = np.unique(distinct // 3, return_inverse=True)
        read = self.reader.read(items)
        seen, place = read.view(row, distinct % 3)
        text, graph = (mean[row[which[:width]]] for mean in read.means())
        batch = Batch(
            seen,
            torch.from_numpy(place[which]),
            text,
            graph,
            torch.arange(own.start, own.stop),
            self._ignored(anchors, plan.structure_known[own], plan.structure),
            self._ignored(anchors, plan.semantic_known[own], plan.semantic),
        )
        return _to(batch, self.worker.device)

    def loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        losses = self.losses(batch, self.worker.all_gather)
        return losses["loss"], {name: value.detach() for name, value in losses.items()}

    def losses(self, batch: Batch, gather: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """The loss of a share and its three parts; `gather` brings the positives of all shares together."""
        config = self.loss_config
        anchors, *positives = self.fusion(batch.items)[batch.where].chunk(3)
        structure, semantic = gather(torch.cat(positives, dim=1)).chunk(2, dim=1)
        text, graph = self.fusion.reconstruct(anchors)
        parts = {
            "structure": info_nce(anchors, structure, batch.own, batch.structure_ignored, config.temperature),
            "semantic": info_nce(anchors, semantic, batch.own, batch.semantic_ignored, config.temperature),
            "reconstruction": F.mse_loss(text, batch.text) + F.mse_loss(graph, batch.graph),
        }
        weights = (config.structure_weight, 1 - config.structure_weight, config.reconstruction_weight)
        total = torch.stack([w * part for w, part in zip(weights, parts.values(), strict=True)]).sum()
        return {"loss": total, **parts}

    def validate(self) -> Metrics:
        """The loss of held-out anchors, nothing hidden, the same positives every time; whole batches in turn.

        Beside it, as `structure_chance` and `semantic_chance`, what vectors that say nothing would have.
        """
        totals = torch.zeros(6, device=self.worker.device)
        for number, start in enumerate(range(0, len(self.held_out), self.batch_size)):
            if number % self.worker.size == self.worker.rank:
                anchors = self.held_out[start : start + self.batch_size]
                generator = np.random.default_rng([self.seed, VALIDATION, start + 1])
                batch = self.share(self.plan(anchors, generator, 0.0), 0, 1)
                losses = self.losses(batch, lambda own: own)
                totals += torch.stack([*losses.values(), *_by_chance(batch)]) * len(anchors)
        means = (self.worker.all_reduce(totals) / len(self.held_out)).tolist()
        names = ("score", "structure", "semantic", "reconstruction", "structure_chance", "semantic_chance")
        return dict(zip(names, means, strict=True))

    def _ignored(
        self, anchors: NDArray[np.int64], friends: NDArray[np.int32], candidates: NDArray[np.int64]
    ) -> Bool[Tensor, "b B"]:
        if not self.loss_config.mask_known:
            return torch.zeros(len(anchors), len(candidates), dtype=torch.bool)
        return known(torch.from_numpy(anchors), torch.from_numpy(friends), torch.from_numpy(candidates))


def _by_chance(batch: Batch) -> tuple[Tensor, Tensor]:
    """The two contrastive losses of a batch where all vectors are equal."""
    ignored = batch.structure_ignored, batch.semantic_ignored
    nothing = torch.zeros(len(batch.own), 1, device=batch.own.device)
    structure, semantic = (info_nce(nothing, nothing, batch.own, each, 1.0) for each in ignored)
    return structure, semantic


def _one_of(rows: NDArray[np.int32], generator: np.random.Generator) -> NDArray[np.int64]:
    """One entry of each row [B, K], none of the -1 at its end."""
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


def _to(batch: Batch, device: torch.device) -> Batch:
    values: list[Any] = [getattr(batch, name).to(device) for name in batch.__dataclass_fields__]
    return Batch(*values)
