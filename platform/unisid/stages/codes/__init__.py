"""codes: fused vectors -> a tokenizer -> one unique semantic id for every item (UQF thesis, 3.3 and 4.3.3).

N items, n of them, D width, C of collaborative vectors, L levels.
"""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import write_codes
from unisid.artifacts.fused import Fused
from unisid.artifacts.shards import Shards, to_arrow
from unisid.artifacts.store import Place
from unisid.artifacts.weights import write_json
from unisid.bounds import Count, Settings
from unisid.compute import Job, Metrics, Pool, Step, Worker
from unisid.config import Json, identity_where, runtime
from unisid.errors import ConfigError, DataError
from unisid.evaluation import index as quality
from unisid.exchange.given import Given
from unisid.legend import COLLISIONS, RECONSTRUCTION
from unisid.log import logger
from unisid.ops.assignment import ordinals
from unisid.ops.prefixes import row_keys
from unisid.progress import Reported, ReportingMapper, mapped
from unisid.stages.codes.collaborative import Collaborative, collaborative
from unisid.stages.codes.moments import moments, row_parts
from unisid.stages.codes.next_items import embedding_hit_rate
from unisid.stages.codes.renamed import certificate, rename
from unisid.stages.codes.unique import PART_ROWS, Encoder, matrix, moved_distances, unique_by_part
from unisid.stages.extension import Base
from unisid.tokenizers import (
    Batch,
    LearnedTokenizer,
    Tokenizer,
    TokenizerConfig,
    WeighingTokenizer,
    rqvae,
    write_tokenizer,
)
from unisid.training.loop import PROGRESS_SECONDS, Training, run
from unisid.training.objective import Parts

LOG = logger(__name__)

VALIDATION_ROWS = 1 << 18
"""A larger catalogue is validated on this many items, evenly spread."""
UNTRAINED = 0.9
"""A checkpoint with more reconstruction error is not judged by collisions: an untrained encoder scatters items well,
and codes that say no more of them than the mean (an error of 1) must not be kept for it."""


MADE_HERE = identity_where(lambda config: config.given is None)
"""Settings that decide nothing where the ids are given."""
KEPT = {"collisions": COLLISIONS, "reconstruction": RECONSTRUCTION}
"""What decides the best epoch, by the setting `keep`."""


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """How vectors become semantic ids."""

    given: Given | None = field(default=None, metadata=identity_where(lambda config: config.given is not None))
    """Ids that others made (a package, or a file as LC-Rec and others publish it), taken in place of all below but the
    gate; None: they are made here."""
    tokenizer: TokenizerConfig = field(default_factory=rqvae.Config, metadata=MADE_HERE)
    """What quantizes the vectors."""
    unique: Literal["assign", "append"] = field(default="assign", metadata=MADE_HERE)
    """Colliding items: `assign` gives them other codes at least distance, `append` adds a level that counts (TIGER)."""
    keep: Literal["collisions", "reconstruction"] = field(default="collisions", metadata=MADE_HERE)
    """The checkpoint that is kept: of the fewest collisions (MiniOneRec), or of the least reconstruction error."""
    scale: Literal["dimension", "whole"] = field(
        default="dimension",
        metadata=identity_where(lambda config: config.scale != "dimension" and config.given is None),
    )
    """What centred vectors are divided by: the standard deviation of each `dimension`; or one number for the `whole`,
    which leaves the distances between them what they are, as in papers that cluster vectors as they come."""
    training: Training = field(
        default_factory=lambda: Training(epochs=2000, patience=50, validate_every=10, weight_decay=0.1),
        metadata=MADE_HERE,
    )
    """The gradient descent of a tokenizer that learns; its seed serves every tokenizer."""
    batch_size: Count = field(default=2048, metadata=MADE_HERE)
    """Items of a global batch, over all workers; a multiple of `pool.workers`."""
    gate: quality.Gate = field(default_factory=quality.Gate)
    """The quality below which the index is refused."""
    base: Base | None = field(default=None, metadata=identity_where(lambda config: config.base is not None))
    """The older version whose items stay as they are; None: all are made anew. `unisid index extend` sets it."""
    older: tuple[Base, ...] = field(default=(), metadata=identity_where(lambda config: config.base is not None))
    """What the base itself extends, the nearest first."""
    aligned_to: Base | None = field(default=None, metadata=identity_where(lambda config: config.aligned_to is not None))
    """An older index after whose codes the new codewords are named, level by level, so that most items keep theirs, and
    a recommender may go on from one that was trained on it (`unisid index refresh`); None: they are numbered as they
    come."""
    pool: Pool = runtime(Pool())
    """Who trains, encodes and resolves."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size % max(1, self.pool.workers):
            raise ConfigError(f"codes: batch_size {self.batch_size} is not a multiple of {self.pool.workers} workers")
        if self.given is not None and self.base is not None:
            raise ConfigError("codes.given: ids that others made extend no index (codes.base); must be None")
        if self.unique == "append" and len(self.tokenizer.parts) > 1:
            raise ConfigError(
                f"codes.unique: is append, and each of {len(self.tokenizer.parts)} parts of an id by "
                f"'{self.tokenizer.kind}' must name an item by itself; must be assign"
            )


@dataclass(frozen=True)
class Task:
    """What a worker needs to fit a tokenizer."""

    config: Config
    vectors: Shards
    mean: Float[np.ndarray, " D"]
    std: Float[np.ndarray, " D"]
    out: Place
    collaborative: Collaborative | None = None
    interactions: Int[np.ndarray, " N"] | None = None
    """Training interactions of every item, a pair of user and item once; where the tokenizer's start weighs by
    them."""


def inputs(config: Config) -> tuple[str, ...]:
    """The nouns that it reads; one that the recipe leaves out is absent."""
    return ("catalog", "fused", "graph") if config.tokenizer.collaborative_width else ("catalog", "fused")


def sources(config: Config) -> dict[str, Json]:
    """The older index after which codes are named."""
    return {} if config.aligned_to is None else {"aligned": config.aligned_to.source()}


def make(job: Job[Config]) -> Json:
    """Fit, encode, resolve, judge, write; the counts hold `sizes` and the quality report."""
    config = job.config
    catalog, vectors = Catalog.read(job.inputs["catalog"]), Fused.read(job.inputs["fused"]).shards
    if len(vectors) != catalog.num_items or not len(vectors):
        raise DataError(
            f"{job.inputs['fused']}: has {len(vectors)} vectors, the catalog {catalog.num_items} items; "
            "both must come from one catalog that is not empty"
        )
    check_room(config, len(vectors))

    mean, std = moments(job, vectors)
    known = collaborative(job, config.tokenizer.collaborative_width, row_parts(len(vectors)))
    taken = np.bincount(catalog.training_edges()[1], minlength=len(vectors)) if config.tokenizer.weighs_items else None
    task = Task(config, vectors, mean, std, job.out, known, taken)
    kind = config.tokenizer.kind
    LOG.info(f"fitting {kind}, {config.tokenizer.num_levels} levels of {config.tokenizer.codebook_size} codes")
    job.judged_by(KEPT[config.keep])
    fitted = job.compute.fit(learn, task, name=f"{job.name}-{kind}", pool=config.pool, work=job.work, report=job.report)
    encoder = Encoder(vectors, job.out, config.pool)
    nearest, error = encode(job, encoder)
    if config.aligned_to is not None:
        nearest = rename(job, config.aligned_to, catalog, nearest)
    codes, sizes = nearest, config.tokenizer.sizes
    report = quality.describe(codes, sizes) | {"reconstruction_error": error} | fitted
    if config.unique == "assign":
        LOG.info(f"{len(codes):,} items, {report['distinct_share']:.1%} distinct; resolving the rest")
        telling = ReportingMapper(job, "parts", of="resolving")
        codes = unique_by_part(telling, config.pool, job.work, encoder, codes, sizes, config.tokenizer.parts)
        report |= moved_distances(telling, config.pool, job.work, encoder, nearest, codes)
    else:
        codes, sizes = append_ordinal(codes, sizes)
    counts = judged(job, catalog, vectors, codes, sizes, report)
    if config.aligned_to is not None:
        counts["refresh"] = certificate(config.aligned_to, catalog, codes, sizes)
    return counts


def judged(
    job: Job[Config],
    catalog: Catalog,
    vectors: Shards,
    codes: Int[np.ndarray, "N L"],
    sizes: tuple[int, ...],
    report: Json,
) -> Json:
    """Judge codes and write them; returns the counts."""
    seed = job.config.training.seed
    report |= quality.consistency(codes, functools.partial(vectors.read, "vector"), seed)
    report |= quality.shared_users(codes, catalog.training_edges(), seed)
    report["embedding_hit_rate"] = embedding_hit_rate(job, catalog, vectors)
    write_json(job.out, "quality.json", report)
    quality.check(job.config.gate, report)
    write_codes(job.out, codes, sizes)
    width = vectors.read("vector", slice(1)).shape[1]
    return {"items": len(codes), "sizes": list(sizes), "width": width, "quality": report}


def check_room(config: Config, num_items: int) -> None:
    """Refuse a code space that is smaller than the catalogue."""
    parts, size = config.tokenizer.parts, config.tokenizer.codebook_size
    levels = min(parts)
    if config.unique == "assign" and size**levels < num_items:
        enough_levels = next(n for n in range(levels, 64) if size**n >= num_items)
        enough_codes = math.ceil(num_items ** (1 / levels))
        enough_codes += enough_codes**levels < num_items  # the root is rounded
        each = "" if len(parts) == 1 else f", in each of {len(parts)} parts,"
        raise ConfigError(
            f"codes.tokenizer: {levels} levels of {size} codes{each} name {size**levels:,} items, the catalogue has "
            f"{num_items:,}; num_levels={enough_levels * len(parts)} or codebook_size={enough_codes} would do"
        )


def encode(job: Job[Config], encoder: Encoder) -> tuple[Int[np.ndarray, "N L"], float]:
    """The nearest codes of all items, and the mean squared error of their reconstruction, standardised."""
    codes = np.empty((len(encoder.vectors), job.config.tokenizer.num_levels), np.int32)
    errors = np.empty(len(codes), np.float64)
    step = Step(functools.partial(_encode, encoder), job.config.pool)
    for table in mapped(job, row_parts(len(codes)), step, "parts", of="encoding"):
        start = table["row"][0].as_py()
        codes[start : start + len(table)] = matrix(table["codes"])
        errors[start : start + len(table)] = table["error"].to_numpy()
    return codes, float(errors.mean())


def _encode(encoder: Encoder) -> Any:
    tokenizer = encoder.tokenizer()

    @torch.no_grad()
    def step(part: pa.Table) -> pa.Table:
        rows = np.arange(part["start"][0].as_py(), part["stop"][0].as_py())
        vectors = encoder.read(tokenizer, rows)
        codes = tokenizer.encode(vectors)
        error = ((tokenizer.decode(codes) - vectors) / tokenizer.std).square().mean(1)
        columns = {"row": rows, "codes": to_arrow(codes.int().cpu().numpy()), "error": error.double().cpu().numpy()}
        return pa.table(columns)

    return step


def append_ordinal(
    codes: Int[np.ndarray, "N L"], sizes: tuple[int, ...]
) -> tuple[Int[np.ndarray, "N L+1"], tuple[int, ...]]:
    """TIGER's form: one more level that counts the items of a tuple; as large as the others, or as it must be."""
    ordinal = ordinals(row_keys(codes)).astype(np.int32)
    return np.column_stack([codes, ordinal]), (*sizes, max(sizes[-1], int(ordinal.max(initial=0)) + 1))


class Fitting:
    """The objective of a learned tokenizer. Global batches are equal in size and a function of (seed, epoch) alone."""

    model: nn.Module
    higher_is_better = COLLISIONS.higher_is_better

    def __init__(self, worker: Worker, tokenizer: LearnedTokenizer, task: Task) -> None:
        self.worker, self.model, self.tokenizer, self.task = worker, tokenizer, tokenizer, task
        count = len(task.vectors)
        self.validation = np.linspace(0, count - 1, min(count, VALIDATION_ROWS)).astype(np.int64)

    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.task.vectors) / self.task.config.batch_size)

    def batches(self, epoch: int) -> Iterator[Batch]:
        size, share = self.task.config.batch_size, self.task.config.batch_size // self.worker.size
        # The last batch is filled from the order's beginning, so that all shares are equal.
        order = np.resize(shuffled(self.task, epoch), self.steps_per_epoch() * size)
        for first in range(self.worker.rank * share, len(order), size):
            rows = order[first : first + share]
            yield Batch(self._read(rows), self._read_collaborative(rows))

    def loss(self, batch: Batch) -> tuple[Float[Tensor, ""], Parts]:
        loss, shown = self.tokenizer.loss(batch, self.worker)
        return loss, shown

    def validate(self) -> Metrics:
        """The share of items beyond the first of their tuple, and the standardised reconstruction error."""
        worker, tokenizer = self.worker, self.tokenizer
        mine = np.array_split(
            np.resize(self.validation, -(-len(self.validation) // worker.size) * worker.size), worker.size
        )[worker.rank]
        codes, error = [], torch.zeros((), dtype=torch.float64, device=worker.device)
        for first in range(0, len(mine), PART_ROWS):
            vectors = self._read(mine[first : first + PART_ROWS])
            codes.append(tokenizer.encode(vectors))
            difference = (tokenizer.decode(codes[-1]) - vectors) / tokenizer.std
            error += difference.square().mean(1).sum(dtype=torch.float64)
        distinct = len(torch.unique(worker.all_gather(torch.cat(codes)), dim=0))
        collisions = 1 - distinct / len(self.validation)
        reconstruction = float(worker.all_reduce(error)) / (len(mine) * worker.size)
        score = reconstruction
        if self.task.config.keep == "collisions":
            # Of equally few collisions the better reconstruction wins: it weighs less than one item.
            tie = reconstruction / (1 + reconstruction) / len(self.validation)
            score = collisions + tie if reconstruction < UNTRAINED else 1 + reconstruction
        return {"score": score, "collisions": collisions, "reconstruction": reconstruction}

    def _read(self, rows: Int[np.ndarray, " n"]) -> Float[Tensor, "n D"]:
        return torch.from_numpy(self.task.vectors.read("vector", rows)).to(self.worker.device)

    def _read_collaborative(self, rows: Int[np.ndarray, " n"]) -> Float[Tensor, "n C"] | None:
        known = self.task.collaborative
        return None if known is None else torch.from_numpy(known.read(rows)).to(self.worker.device)


def shuffled(task: Task, epoch: int) -> Int[np.ndarray, " N"]:
    """All items in the order of an epoch."""
    return np.random.default_rng((task.config.training.seed, epoch)).permutation(len(task.vectors))


def learn(worker: Worker, task: Task) -> Json:
    """Fit a tokenizer and, on rank 0, write it out; returns how the fit ended."""
    config = task.config
    torch.manual_seed(config.training.seed)
    tokenizer: Tokenizer = config.tokenizer.build(len(task.mean)).to(worker.device)
    tokenizer.mean.copy_(torch.from_numpy(task.mean))
    tokenizer.std.copy_(torch.from_numpy(task.std))
    # One worker is enough for a start: the loop hands rank 0's weights to all.
    if worker.rank == 0 and worker.resume() is None:
        rows = shuffled(task, 0)[: config.tokenizer.sample]
        sample = torch.from_numpy(task.vectors.read("vector", rows)).to(worker.device)
        tokenizer.on_round = Reported(worker.progress, "start.rounds", PROGRESS_SECONDS)
        if task.interactions is None:
            tokenizer.start(sample, config.training.seed)
        else:
            assert isinstance(tokenizer, WeighingTokenizer), config.tokenizer.kind
            taken = torch.from_numpy(task.interactions[rows]).to(worker.device)
            tokenizer.start_weighing(sample, taken, config.training.seed)
    ended: Json = {}
    if isinstance(tokenizer, LearnedTokenizer):
        outcome = run(worker, Fitting(worker, tokenizer, task), config.training)
        ended = {"best_epoch": outcome.best_epoch, "epochs": outcome.epochs, "precision": outcome.precision}
    if worker.rank == 0:
        write_tokenizer(task.out, config.tokenizer, tokenizer)
    return ended
