"""Makes the model: a backbone trained to foretell the next item's semantic id.

Training rows stream; validation ranks all items for a sample of the validation split by the same constrained beam
search that serves, and its NDCG@10 decides which weights are kept. B samples, L levels, S validation samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.model import write_model
from unisid.artifacts.sequences import Sequences
from unisid.artifacts.store import Place
from unisid.artifacts.tables import read_table
from unisid.backbones import Backbone, BackboneConfig, Speaker, tiger
from unisid.compute import Job, Metrics, Pool, Stream, Worker
from unisid.config import Json, runtime, to_record
from unisid.errors import ConfigError
from unisid.ops import beam, trie
from unisid.training import loop
from unisid.training.feed import Batch, Block, Feed
from unisid.training.loop import Training

INPUTS = ("catalog", "codes", "sequences", "instructions")
CUTOFF = 10
"""Of the NDCG that decides."""
VALIDATION_BATCH = 128


@dataclass(frozen=True, kw_only=True)
class Config:
    """The recommender and how it learns."""

    backbone: BackboneConfig = field(default_factory=tiger.Config)
    """What is trained: any kind in `backbones`."""
    training: Training = field(
        default_factory=lambda: Training(
            epochs=200, patience=10, learning_rate=1e-3, weight_decay=0.035, warmup_steps=500
        )
    )
    """How long and how fast it learns; its seed also draws the validation samples."""
    batch_size: int = 256
    """Samples a step, over all workers."""
    samples_per_epoch: int = 0
    """Training samples between two validations; 0 for all of them."""
    valid_samples: int = 2000
    """Validation samples that are ranked, drawn by seed; 0 for all."""
    beam: int = 20
    """Beams of the validation's search."""
    pool: Pool = runtime(Pool())
    """The workers that train."""

    def __post_init__(self) -> None:
        if min(self.batch_size, self.samples_per_epoch + 1, self.valid_samples + 1) < 1:
            raise ConfigError(f"model: batch_size {self.batch_size}, samples_per_epoch {self.samples_per_epoch}, "
                              f"valid_samples {self.valid_samples}; must be at least 1, 0 and 0")  # fmt: skip
        if self.batch_size % max(1, self.pool.workers):
            raise ConfigError(
                f"model: batch_size {self.batch_size} over {self.pool.workers} workers; must divide evenly"
            )
        if self.beam < CUTOFF:
            raise ConfigError(f"model: beam {self.beam} is smaller than {CUTOFF}, the items that validation ranks")


@dataclass(frozen=True)
class Task:
    """What a worker is told."""

    config: Config
    catalog: Place
    codes: Place
    sequences: Place
    out: Place


def sources(config: Config) -> dict[str, Json]:
    """The pretrained weights that the backbone begins with, where it does."""
    return config.backbone.sources()


def make(job: Job) -> Json:
    """Train, keep the best weights, say how it went."""
    task = Task(job.config, job.inputs["catalog"], job.inputs["codes"], job.inputs["sequences"], job.out)
    stream = Stream(job.inputs["sequences"], "train-", ("tokens", "target"))
    return job.compute.fit(train, task, name=job.name, pool=task.config.pool, work=job.work,
                           streams={"train": stream}, report=job.report)  # fmt: skip


def train(worker: Worker, task: Task) -> Json:
    """What every worker runs; the first writes the model."""
    codes = Codes.read(task.codes)
    torch.manual_seed(task.config.training.seed)
    backbone = task.config.backbone.build(codes.sizes)
    if isinstance(backbone, Speaker):
        backbone.start_from(codes.codes, Catalog.read(task.catalog).titles.to_pylist())
    objective = NextItem(worker, task, codes, backbone)
    outcome = loop.run(worker, objective, task.config.training)
    if worker.rank == 0:
        write_model(task.out, to_record(task.config.backbone), backbone.weights(), backbone.files())
    samples = outcome.epochs * objective.steps_per_epoch() * task.config.batch_size
    return {
        "parameters": sum(p.numel() for p in backbone.parameters()),
        f"valid_ndcg_{CUTOFF}": outcome.best_score,
        "best_epoch": outcome.best_epoch,
        "epochs": outcome.epochs,
        "samples_per_second": round(samples / max(outcome.seconds, 1e-9), 1),
    }


class NextItem:
    """The objective: cross-entropy of the target's tokens, judged by ranking all items."""

    higher_is_better: bool = True

    def __init__(self, worker: Worker, task: Task, codes: Codes, backbone: Backbone) -> None:
        config, sequences = task.config, Sequences.read(task.sequences)
        self.model: nn.Module = backbone
        self.backbone, self.worker, self.config = backbone, worker, config
        wanted = config.samples_per_epoch or sequences.num_samples("train")
        self.steps = max(1, wanted // config.batch_size)
        item_tokens = codes.tokens(np.arange(len(codes.codes)))
        share = config.batch_size // worker.size
        self.feed = Feed(lambda: worker.stream("train"), item_tokens, share, (config.training.seed, worker.rank))
        self.trie = trie.build(torch.from_numpy(codes.codes.copy())).to(worker.device)
        self.valid = Block.of(read_table(task.sequences, "valid", ["tokens", "target"]))
        self.item_tokens = item_tokens

    def steps_per_epoch(self) -> int:
        return self.steps

    def batches(self, epoch: int) -> Iterator[Batch]:
        for batch in self.feed.batches(epoch * self.steps, self.steps):
            yield batch.to(self.worker.device)

    def loss(self, batch: Batch) -> tuple[Tensor, Metrics]:
        return self.backbone.loss(batch.histories, batch.targets), {}

    def validate(self) -> Metrics:
        """Mean NDCG and hit rate at the cutoff over the drawn validation samples, each ranked by one worker."""
        sums = torch.zeros(3, device=self.worker.device)
        rows = self._rows()[self.worker.rank :: self.worker.size]
        rows = rows[np.argsort(self.valid.lengths[rows], kind="stable")]
        num_items = len(self.trie.items)
        for start in range(0, len(rows), VALIDATION_BATCH):
            some = rows[start : start + VALIDATION_BATCH]
            histories = self.valid.batch(some, self.item_tokens).histories.to(self.worker.device)
            found = beam.search(self.backbone, histories, self.trie, k=min(CUTOFF, num_items), beam=self.config.beam)
            targets = torch.from_numpy(self.valid.targets[some].astype(np.int64)).to(self.worker.device)
            hits = found.items == targets[:, None]
            gains = 1 / torch.arange(2, hits.shape[1] + 2, device=hits.device).log2()
            sums += torch.stack([(hits * gains).sum(), hits.sum(), hits.new_tensor(len(some), dtype=torch.float32)])
        ndcg, rate, count = self.worker.all_reduce(sums).tolist()
        return {"score": ndcg / count, f"hr_{CUTOFF}": rate / count}

    def _rows(self) -> Any:
        number = len(self.valid.lengths)
        wanted = min(number, self.config.valid_samples or number)
        return np.random.default_rng(self.config.training.seed).permutation(number)[:wanted]
