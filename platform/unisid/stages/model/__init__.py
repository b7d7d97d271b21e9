"""Makes the model: a backbone trained to predict the next item's semantic id.

Training rows stream: histories and targets, or for a language model instructions (`stages/model/instructed.py`).
Validation ranks all items for a sample of the validation split by the same constrained beam search that serves, and its
NDCG@10 decides which weights are kept (`evaluation/validation.py`).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.instructions import Instructions
from unisid.artifacts.keywords import LOW, Keywords
from unisid.artifacts.metrics import HistoryRule
from unisid.artifacts.model import NEW_ROWS, write_model
from unisid.artifacts.sequences import USERS, Sequences
from unisid.artifacts.store import Place
from unisid.artifacts.vectors import item_vectors
from unisid.artifacts.weights import write_weights
from unisid.backbones import Backbone, BackboneConfig, Batch, Index, LanguageBackbone, tiger
from unisid.bounds import Count, CountOrNone, Range, Settings
from unisid.compute import Job, Metrics, Pool, Stream, Task, Worker
from unisid.config import Json, identity_where, runtime, to_record
from unisid.decoding.beam import MOST_BEAMS, Beam
from unisid.errors import ArtifactError, ConfigError
from unisid.evaluation.validation import CUTOFF, ValidationRanker
from unisid.legend import NDCG
from unisid.log import logger
from unisid.ops.rows import cosine_by_level
from unisid.stages.catalog.summary import repeated_in
from unisid.stages.extension import Base
from unisid.stages.model import warm_start
from unisid.stages.model.instructed import SELECTED, Instructed
from unisid.training import loop
from unisid.training.feed import Feed
from unisid.training.loop import Accumulation, Training
from unisid.training.objective import Parts
from unisid.training.packing import Batching

LOG = logger(__name__)
PARALLEL = 0.95
"""Mean cosine of a level's first rows above which they are as good as one."""


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """The recommender and how it learns."""

    backbone: BackboneConfig = field(default_factory=tiger.Config)
    """What is trained: any kind in `backbones`."""
    training: Training = field(
        default_factory=lambda: Training(
            epochs=200, patience=10, learning_rate=1e-3, weight_decay=0.035, warmup_steps=500
        )
    )
    """How long and how fast it learns; its seed also draws the validation samples."""
    batch_size: Count = 256
    """Samples a step, over all workers."""
    micro_batch: CountOrNone = runtime(0)
    """Samples that a worker takes through the model at once: fewer need less memory, and change nothing that is
    learned but what dropout draws. 0: its whole share of a step."""
    packed: bool = runtime(True)
    """Instructions lie end to end in rows of the model's longest length; else one a row, beside others as long."""
    samples_per_epoch: CountOrNone = 0
    """Training samples between two validations; 0 for all of them."""
    valid_samples: CountOrNone = 2000
    """Validation samples that are ranked, drawn by seed, and instructions whose loss is reported; 0 for all."""
    valid_batch: Count = runtime(128)
    """Validation samples that are ranked at once."""
    valid_history: HistoryRule = "excluded"
    """Which items are ranked for them: all but the history, as with every baseline, or `allowed`: all,
    for a shop whose users come back for the same."""
    select: Literal["ndcg", "loss"] = field(
        default="ndcg", metadata=identity_where(lambda config: config.select != "ndcg")
    )
    """What decides which epoch's weights are kept and when training stops: NDCG@10 over the validation samples, or, of
    a model that learns from instructions, the mean loss of the validation instructions (the UQF thesis)."""
    beam: Annotated[int, Range(CUTOFF, MOST_BEAMS)] = 20
    """Beams of the validation's search."""
    beams: tuple[Annotated[int, Range(CUTOFF, MOST_BEAMS)], ...] = field(
        default=(), metadata=identity_where(lambda config: bool(config.beams))
    )
    """Its beams by level, the last number for all further levels (FORGE: narrow first, wider later); empty: `beam`."""
    starts_from: Base | None = field(default=None, metadata=identity_where(lambda config: bool(config.starts_from)))
    """A trained model whose weights training begins with, by its address (model/NAME/VERSION): of the same backbone, on
    this index or one that this extends. Left out: fresh or pretrained weights."""
    afterwards: Training | None = field(
        default=None, metadata=identity_where(lambda config: config.afterwards is not None)
    )
    """In a recipe with `joint`: how the recommender goes on by itself, once the codes no longer move; None: it does
    not."""
    pool: Pool = runtime(Pool())
    """The workers that train."""

    @property
    def widths(self) -> Beam:
        """The beams of the validation's search."""
        return self.beams or self.beam

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size % max(1, self.pool.workers):
            raise ConfigError(
                f"model: batch_size {self.batch_size} over {self.pool.workers} workers; must divide evenly"
            )
        share = self.batch_size // max(1, self.pool.workers)
        if share % self.micro_batch_size(self.pool.workers):
            raise ConfigError(
                f"model: micro_batch {self.micro_batch} does not divide the {share} samples that each "
                f"worker has of batch_size {self.batch_size}; {math.gcd(share, self.micro_batch)} "
                "would"
            )

    def fits_history(self, length: int) -> None:
        """Raises ConfigError where histories of this length are too long for the backbone."""
        self.backbone.fits_history(length)

    def micro_batch_size(self, workers: int) -> int:
        """Samples that each of so many workers takes through the model at once."""
        return self.micro_batch or self.batch_size // max(1, workers)


def inputs(config: Config) -> tuple[str, ...]:
    """The nouns that it reads; one that the recipe leaves out is absent."""
    return ("catalog", "codes", *config.backbone.reads(), "sequences", "instructions", *config.backbone.vectors())


def sources(config: Config) -> dict[str, Json]:
    """The pretrained weights that the backbone begins with, where it does, and the model that training starts from."""
    return config.backbone.sources() | ({"start": config.starts_from.source()} if config.starts_from else {})


def make(job: Job[Config]) -> Json:
    """Train, keep the best weights, say how it went."""
    warm_start.check(job.config.starts_from, job.config.backbone, job.inputs["codes"])
    instructions = job.inputs.get("instructions")
    if job.config.select == "loss" and instructions is None:
        raise ConfigError(
            "model.select: is loss, which is that of validation instructions, and the recipe has none; give it "
            "instructions, or set model.select to ndcg"
        )
    job.judged_by(SELECTED[job.config.select])
    task = job.task
    counts = Catalog.read(job.inputs["catalog"]).record.counts
    left = repeated_in(counts, "valid", "set model.valid_history to allowed")
    if left and task.config.valid_history == "excluded":
        LOG.warning(left)
    if instructions is None and task.config.backbone.learns_from == "windows":
        stream = Stream(job.inputs["sequences"], f"{USERS}-", ("history",))
    elif instructions is None:
        stream = Stream(job.inputs["sequences"], "train-", ("history", "target"))
    else:
        stream = Stream(instructions, "train-", Instructions.read(instructions).words)
    return job.compute.fit(
        train, task, name=job.name, pool=task.config.pool, work=job.work, streams={"train": stream}, report=job.report
    )


def train(worker: Worker, task: Task[Config]) -> Json:
    """Run on every worker: train the backbone; the first worker writes the model."""
    config, catalog = task.config, Catalog.read(task.inputs["catalog"])
    index = index_of(task.inputs, config.backbone, catalog)
    torch.manual_seed(config.training.seed)
    backbone = config.backbone.build(index)
    start = warm_start.place_of(config.starts_from, task.inputs)
    if start is None:
        backbone.count(catalog, index)
        first = first_rows(task, backbone, index)
    else:
        warm_start.load(start, backbone, catalog, index, task.inputs["codes"])
        first = None
    if "instructions" in task.inputs and isinstance(backbone, LanguageBackbone):
        backbone.ask_with(Instructions.read(task.inputs["instructions"]).prompts())
    objective = _objective(worker, task, catalog, index.to(worker.device), backbone)
    outcome = loop.run(worker, objective, config.training, objective.accumulation, validate_first=start is not None)
    if worker.rank == 0:
        write_model(task.out, to_record(config.backbone), backbone.weights(), backbone.files())
        if first is not None and isinstance(backbone, LanguageBackbone):
            write_weights(task.out, NEW_ROWS, {"first": first, "last": backbone.new_rows()})
    samples = outcome.epochs * objective.steps_per_epoch() * config.batch_size
    return {
        "parameters": sum(p.numel() for p in backbone.parameters()),
        f"valid_ndcg_{CUTOFF}": outcome.best.get(f"ndcg_{CUTOFF}", outcome.best_score),
        "best_epoch": outcome.best_epoch,
        "epochs": outcome.epochs,
        "precision": outcome.precision,
        "samples_per_second": round(samples / max(outcome.seconds, 1e-9), 1),
        **objective.counts(),
        **({} if first is None else {"first_rows_cosine": cosine_by_level(first, index.sizes)}),
    }


def first_rows(task: Task[Config], backbone: Backbone, index: Index) -> Float[Tensor, "M D"] | None:
    """Give a language model's new tokens rows from keywords, where it reads them; returns what they begin with."""
    if not isinstance(backbone, LanguageBackbone):
        return None
    if "keywords" in task.config.backbone.reads():
        read = Keywords.read(task.inputs["keywords"])
        words = [own if covered >= LOW else [] for own, covered in zip(read.words, read.coverage, strict=True)]
        backbone.start_from_keywords(read.level, read.code, words)
    first = backbone.new_rows()
    for level, cosine in cosine_by_level(first, index.sizes).items():
        if cosine > PARALLEL:
            LOG.warning(
                f"model: two first rows of level {level} have a cosine of {cosine:.3f} in the mean: they are nearly "
                "one row, and the model begins without telling the codes apart; model.backbone.rows may change that"
            )
    return first


def index_of(inputs: Mapping[str, Place], backbone: BackboneConfig, catalog: Catalog) -> Index:
    """The index for a backbone: codes and the inputs it reads; raises ArtifactError for another catalog's codes."""
    codes = Codes.read(inputs["codes"])
    if len(codes.codes) != catalog.num_items:
        raise ArtifactError(
            f"{codes.place}: has codes for {len(codes.codes)} items, the catalog {catalog.place} has "
            f"{catalog.num_items}; both must come from one recipe"
        )
    return Index.of(codes.codes, codes.sizes, item_vectors(inputs, backbone.vectors()))


def filled(recommender: Config | None) -> Config:
    """These settings as a part of another stage's, where a plan fills in the recipe's own."""
    assert recommender is not None
    return recommender


def validation_ranker(
    worker: Worker, catalog: Catalog, index: Index, sequences: Sequences, config: Config
) -> ValidationRanker:
    """The ranker of validation samples for a recommender of these settings."""
    return ValidationRanker(
        worker,
        catalog,
        index,
        sequences,
        samples=config.valid_samples,
        history=config.valid_history,
        width=config.widths,
        seed=config.training.seed,
        at_once=config.valid_batch,
    )


def _objective(
    worker: Worker, task: Task[Config], catalog: Catalog, index: Index, backbone: Backbone
) -> "NextItem | Instructed":
    config = task.config
    judge = validation_ranker(worker, catalog, index, Sequences.read(task.inputs["sequences"]), config)
    if "instructions" not in task.inputs:
        return NextItem(worker, task, index, backbone, judge)
    if not isinstance(backbone, LanguageBackbone):
        raise ConfigError(
            f"model.backbone: '{config.backbone.kind}' is no language model and cannot learn from the "
            "recipe's instructions; choose one that does (lcrec), or leave them out"
        )
    batching = Batching(
        batch_size=config.batch_size,
        micro_batch_size=config.micro_batch_size(worker.size),
        workers=worker.size,
        packed=config.packed,
    )
    return Instructed(worker, task.inputs["instructions"], backbone, judge, batching, config)


class NextItem:
    """The objective of a recipe without instructions: the loss that the backbone has for histories and targets."""

    higher_is_better: bool = NDCG.higher_is_better

    def __init__(
        self, worker: Worker, task: Task[Config], index: Index, backbone: Backbone, judge: ValidationRanker
    ) -> None:
        config, sequences = task.config, Sequences.read(task.inputs["sequences"])
        self.model: nn.Module = backbone
        self.backbone, self.worker, self.index, self.judge = backbone, worker, index, judge
        self.windows = config.backbone.learns_from == "windows"
        wanted = config.samples_per_epoch or sequences.num_samples("windows" if self.windows else "train")
        self.steps = max(1, wanted // config.batch_size)
        self.at_once = config.micro_batch_size(worker.size)
        share = config.batch_size // worker.size
        count = _num_targets if self.windows else None
        self.accumulation: Accumulation[Batch] = Accumulation(micro_batches=share // self.at_once, count=count)
        seed = (config.training.seed, worker.rank)
        length = judge.catalog.history_length if self.windows else 0
        self.feed = Feed(lambda: worker.stream("train"), share, seed, length)

    def steps_per_epoch(self) -> int:
        return self.steps

    def batches(self, epoch: int) -> Iterator[Batch]:
        for batch in self.feed.batches(epoch * self.steps, self.steps):
            for start in range(0, len(batch.targets), self.at_once):
                yield batch.rows(slice(start, start + self.at_once)).to(self.worker.device)

    def loss(self, batch: Batch) -> tuple[Float[Tensor, ""], Parts]:
        mean = self.backbone.loss(batch, self.index)
        return (mean * batch.num_targets if self.windows else mean), {}

    def validate(self) -> Metrics:
        return self.judge(self.backbone)

    def counts(self) -> Json:
        """Nothing to add to the record."""
        return {}


def _num_targets(batch: Batch) -> int:
    return batch.num_targets
