"""Makes the fused vectors: neighbour tables, a fusion that learns from them, then every item's vector.

Shards that are there are kept, and so is a fusion whose `fusion.json` is there: it is written after the weights.
N items, W width of the fused vector.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import torch

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.embeddings import Embeddings
from unisid.artifacts.fused import FAMILY
from unisid.artifacts.graph import Graph
from unisid.artifacts.reading import whole
from unisid.artifacts.roles import noun_of
from unisid.artifacts.shards import Shards, missing_parts, to_arrow, write_shard
from unisid.artifacts.store import Place
from unisid.artifacts.weights import read_json, read_weights, write_json, write_weights
from unisid.bounds import Count, CountOrNone, Range, Settings
from unisid.compute import Job, Pool, Step, Worker
from unisid.config import Json, from_record, identity_where, runtime, to_record
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.fusion import TEXT, FittedFusion, Fusion, FusionConfig, LearnedFusion, Loss, SequenceFusion, uqf
from unisid.legend import LOSS
from unisid.log import logger
from unisid.ops.nearest import EXACT_LIMIT
from unisid.ops.neighbours import Measure
from unisid.precision import Precision, autocast
from unisid.progress import Progress
from unisid.stages import embeddings
from unisid.stages.extension import Base
from unisid.stages.fused import inline
from unisid.stages.fused.behaviour import NextItems, learned_items
from unisid.stages.fused.contrast import Contrast
from unisid.stages.fused.neighbours import ROWS, SEMANTIC, STRUCTURE, Relation, in_words, make_tables
from unisid.stages.fused.reading import Reader
from unisid.stages.fused.references import REFERENCES, fit
from unisid.training import loop
from unisid.training.loop import Accumulation, Training

LOG = logger(__name__)

WEIGHTS, DESCRIPTION = "weights.safetensors", "fusion.json"
LEAST = 2
"""Items that neighbours need at least."""
HISTORY = "history_length"
"""The description's key of how much a fusion of sequences reads back."""
WIDTH = "_width"
"""What the description's keys of the modalities' widths end with: text_width."""


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """Which fusion, and how it learns. The defaults are the thesis's but for what docs/fidelity.md lists."""

    fusion: FusionConfig = field(default_factory=uqf.Config)
    """What makes one vector of an item's modalities: its text, its graph layers, further embeddings by name."""
    num_neighbours: Annotated[int, Range(1, 10_000)] = 50
    """Neighbours of each kind that an item has; positives are drawn from them."""
    shared_users: Measure = field(
        default="count", metadata=identity_where(lambda config: config.shared_users != "count")
    )
    """Which items share most users with an item: by their `count`, the thesis's form, by which popular items are
    neighbours of most; or by `cosine`, the count over the root of both items' numbers of users."""
    structure: Literal["users", "steps"] = field(
        default="users", metadata=identity_where(lambda config: config.structure != "users")
    )
    """What relates an item to its structure neighbours: the `users` that both have, as in the thesis; or the `steps`
    from one to the other in training sequences, both directions alike and near ones most, as related items count
    them (`ops.transitions`)."""
    exact_limit: CountOrNone = EXACT_LIMIT
    """Up to so many items the search for near texts compares all pairs; above, inverted lists are searched."""
    loss: Loss = field(default_factory=Loss)
    """What a fusion that learns is trained for."""
    training: Training = field(
        default_factory=lambda: Training(epochs=1000, patience=40, learning_rate=1e-4, weight_decay=1e-5)
    )
    """How long and how fast it learns; its precision also serves when the vectors are written."""
    batch_size: Count = 256
    """Anchors a step, over all workers."""
    base: Base | None = field(default=None, metadata=identity_where(lambda config: config.base is not None))
    """The older version whose items stay as they are; None: all are made anew. `unisid index extend` sets it."""
    learn_from: CountOrNone = field(default=0, metadata=identity_where(lambda config: config.learn_from > 0))
    """Learn from about so many items alone, drawn by their numbers, and from their neighbours among these; 0: from all
    that have token states."""
    inline: bool = runtime(False)
    """Encode the texts anew where vectors are written, each part on its way into the fusion: for embeddings that keep
    token states of a sample of items (`embeddings.states_of`). The vectors are the same."""
    tokenize: Pool = runtime(Pool(cpus=0.5))
    """With `inline`: who reads and tokenises."""
    write_batch: Count = runtime(1024)
    """Items fused at a time once learning is over."""
    pool: Pool = runtime(Pool())
    """Who learns; the workers' number must divide the batch size."""
    writers: Pool = runtime(Pool())
    """Who searches neighbours and writes vectors."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size % max(1, self.pool.workers):
            raise ConfigError(
                f"fused.batch_size: {self.batch_size} does not divide into equal shares for "
                f"{self.pool.workers} workers; make it a multiple of fused.pool.workers"
            )

    @property
    def relation(self) -> Relation:
        """The relation that makes structure neighbours."""
        return "steps" if self.structure == "steps" else self.shared_users


@dataclass(frozen=True)
class Task:
    """What a worker needs to learn a fusion."""

    config: Config
    reader: Reader
    out: Place
    num_items: int
    widths: Mapping[str, int]
    """Of every modality."""


def inputs(config: Config) -> tuple[str, ...]:
    """The nouns that it reads; one that the recipe leaves out is absent."""
    return ("catalog", "embeddings", "embeddings.*", "graph")


def sources(config: Config) -> dict[str, Json]:
    """Nothing but artifacts goes in."""
    return {}


def make(job: Job[Config]) -> Json:
    """Write `vectors-*.arrow` and the fusion; for one that learns, the neighbour tables before."""
    config = job.config
    num_items = _agreed_items(job.inputs)
    reader = Reader(job.inputs, states=True)
    fusion = config.fusion.build(reader.widths)
    reader = replace(reader, states=fusion.reads_states)
    config.loss.dropped(tuple(reader.roles))  # refused before neighbours are searched
    inline.check(reader, config.inline)
    learner = _learner(config, reader, fusion)
    counts: Json = {"items": num_items, "width": fusion.width}
    if fusion.reads_states and not Embeddings.read(job.inputs["embeddings"]).has_states:
        counts["degenerate"] = True
        LOG.warning(
            "the embeddings hold pooled vectors only; attention over a single token is a fixed linear "
            "map, so the fusion can learn little: set embeddings.keep_states for token states"
        )
    if isinstance(fusion, LearnedFusion):
        counts |= _tables(job, config, learner)
    task = Task(config, learner, job.out, learner.num_items, reader.widths)
    counts |= _learn(job, task, fusion)
    if words := in_words(counts.get("valid", {}), config.relation):
        LOG.info(words)
    write_vectors(job, reader, config, missing_parts(job.out, FAMILY, num_items, ROWS))
    text_only = int(Shards(job.out, FAMILY).read("text_only").sum())
    if text_only:
        LOG.info(f"{text_only} items have no interactions: their vectors come from text alone, and are marked")
    return counts | {"text_only": text_only}


def _learner(config: Config, reader: Reader, fusion: Fusion) -> Reader:
    """Reads the items that the fusion learns from: all of them, or a sample.

    Raises ConfigError where a sample is asked for, and the fusion learns from no items or the sample is too small.
    """
    if not isinstance(fusion, LearnedFusion):
        if config.learn_from:
            raise ConfigError(
                f"fused.learn_from: is {config.learn_from}, and '{config.fusion.kind}' does not learn "
                "from items' neighbours; must be 0"
            )
        return reader
    samples = [config.learn_from, *(reader.states_of(name) for name in reader.roles if reader.states)]
    learner = replace(reader, of=min((each for each in samples if each), default=0))
    if learner.num_items < LEAST:
        raise ConfigError(
            f"fused: a sample of about {learner.of} items has {learner.num_items}, of which neighbours "
            f"cannot be had; fused.learn_from and embeddings.states_of must give {LEAST}"
        )
    if learner.sample is not None:
        LOG.info(f"the fusion learns from {learner.num_items:,} of {reader.num_items:,} items")
    return learner


def load(place: Place, weights: str = WEIGHTS) -> Fusion:
    """The fusion of an artifact, or of a package with its file of weights, ready to fuse further items."""
    described = read_json(place, DESCRIPTION)
    with whole(place, DESCRIPTION, "the settings of a fusion"):
        config = from_record(FusionConfig, described["fusion"])  # type: ignore[type-abstract]
        fusion = config.build(widths_of(described))
    with whole(place, weights, f"the weights of the fusion that {DESCRIPTION} describes"):
        learned = read_weights(place, weights) if place.exists(weights) else {}
        if isinstance(fusion, SequenceFusion):
            fusion.begin(learned["trained"], int(described[HISTORY]))
        if isinstance(fusion, FittedFusion):
            fusion.reserve(int(described["learned"][REFERENCES]))
        fusion.load_state_dict(learned)
    return fusion.eval()


def widths_of(described: Json) -> dict[str, int]:
    """The widths of a description's modalities; all fusions there are have the text."""
    others = (key.removesuffix(WIDTH) for key in described if key.endswith(WIDTH) and key != f"{TEXT}{WIDTH}")
    return {name: int(described[f"{name}{WIDTH}"]) for name in (TEXT, *others)}


def learn(worker: Worker, task: Task) -> Json:
    """Learn the fusion on a worker; rank 0 writes it."""
    config = task.config
    torch.manual_seed(config.training.seed)
    model = config.fusion.build(task.widths)
    objective, accumulation = _objective(worker, task, model)
    outcome = loop.run(worker, objective, config.training, accumulation)
    learned: Json = {
        "best_valid_loss": outcome.best_score,
        "best_epoch": outcome.best_epoch,
        "epochs": outcome.epochs,
        "precision": outcome.precision,
        "valid": {name: value for name, value in outcome.best.items() if name != "score"},
    }
    if worker.rank == 0:
        write_fusion(task, model, learned)
    return learned


def _objective(worker: Worker, task: Task, model: Fusion) -> tuple[Any, Accumulation[Any]]:
    """The objective of a fusion (neighbours of items, or sequences of users), and how its micro-batches add up."""
    config, size, seed = task.config, task.config.batch_size, task.config.training.seed
    if isinstance(model, SequenceFusion):
        catalog = Catalog.read(task.reader.inputs["catalog"])
        model.begin(learned_items(catalog), catalog.history_length)
        objective = NextItems(model, worker, task.reader, catalog, size, seed)
        return objective, Accumulation(count=lambda batch: batch.num_targets)
    assert isinstance(model, LearnedFusion)
    tables = Shards(task.out, STRUCTURE), Shards(task.out, SEMANTIC)
    return Contrast(model, worker, task.reader, config.loss, tables, task.num_items, size, seed), Accumulation()


def write_fusion(task: Task, model: Fusion, learned: Json) -> None:
    """Weights first: the description's presence says that both are whole."""
    if model.state_dict():
        write_weights(task.out, WEIGHTS, model.state_dict())
    described: Json = {f"{name}{WIDTH}": width for name, width in task.widths.items()}
    if isinstance(model, SequenceFusion):
        described[HISTORY] = Catalog.read(task.reader.inputs["catalog"]).history_length
        learned["untrained"] = int((~model.trained).sum())
    write_json(task.out, DESCRIPTION, {"fusion": to_record(task.config.fusion), **described, "learned": learned})


def vector_writer(
    reader: Reader, out: Place, batch: int, precision: Precision, pool: Pool, encoding: embeddings.Config | None
) -> Callable[[pa.Table], pa.Table]:
    """A part, or with an `encoding` the tokens of its texts, -> its shard of vectors."""
    where = pool.device()
    fusion = load(out).to(where)
    encode = None if encoding is None else inline.States(reader.inputs, encoding)

    def write(part: pa.Table) -> pa.Table:
        rows = np.arange(*(part[name][0].as_py() for name in (inline.ENDS if encode else ("start", "stop"))))
        texts = encode(part) if encode else None
        vectors = np.empty((len(rows), fusion.width), np.float32)
        for start in range(0, len(rows), batch):
            some = rows[start : start + batch]
            text = None if texts is None else texts.part(start, start + len(some))
            items, place = reader.read(some, text).view(np.arange(len(some)), np.zeros(len(some), np.int64))
            with torch.inference_mode(), autocast(precision, where):
                vectors[start : start + batch] = fusion(items.to(where)).float().cpu().numpy()[place]
        if not np.isfinite(vectors).all():
            raise reader.not_finite("embeddings", rows[~np.isfinite(vectors).all(axis=1)])
        table = pa.table({"vector": to_arrow(vectors), "text_only": reader.text_only(rows)})
        write_shard(out, FAMILY, part["shard"][0].as_py(), table)
        return part.slice(0, 1)

    return write


def _agreed_items(inputs: Mapping[str, Place]) -> int:
    catalog = Catalog.read(inputs["catalog"])
    held = {
        role: len(Embeddings.read(place).shards)
        for role, place in sorted(inputs.items())
        if noun_of(role) == "embeddings"
    }
    held["graph"] = len(Graph.read(inputs["graph"]).items)
    if {catalog.num_items} != set(held.values()):
        counted = ", ".join(f"the {role} {count}" for role, count in held.items())
        raise ArtifactError(f"fused: the catalog has {catalog.num_items} items, {counted}; all must be of one catalog")
    if catalog.num_items < LEAST:
        raise DataError(f"{catalog.place}: has {catalog.num_items} items; neighbours need at least {LEAST}")
    return catalog.num_items


def _tables(job: Job[Config], config: Config, reader: Reader) -> Json:
    return make_tables(
        job, reader, reader.num_items, config.num_neighbours, config.exact_limit, config.relation, config.writers
    )


def _learn(job: Job[Config], task: Task, fusion: Fusion) -> Json:
    if job.out.exists(DESCRIPTION):
        LOG.info("the fusion is there already")
    elif isinstance(fusion, FittedFusion):
        for _ in job.compute.map([{"shard": 0}], Step(functools.partial(fitter, task), task.config.writers)):
            LOG.debug("the fusion is fitted")
    elif isinstance(fusion, LearnedFusion | SequenceFusion):
        job.judged_by(LOSS)
        job.compute.fit(learn, task, name=f"{job.name}-fusion", pool=task.config.pool, work=job.work, report=job.report)
    else:
        write_fusion(task, task.config.fusion.build(task.widths), {})
    learned: Json = read_json(job.out, DESCRIPTION)["learned"]
    return learned


def fitter(task: Task) -> Callable[[pa.Table], pa.Table]:
    """Anything -> the same, once the fusion is fitted to the catalog's references and written."""

    def write(part: pa.Table) -> pa.Table:
        fusion = task.config.fusion.build(task.widths)
        write_fusion(task, fusion, fit(fusion, task.reader))
        return part

    return write


def write_vectors(job: Job[Config], reader: Reader, config: Config, missing: list[Json]) -> None:
    """Fuse the items of some parts with the fusion of `job.out`, and write each as its shard."""
    inline.check(reader, config.inline)
    encoding = inline.settings(job.inputs, config.writers) if config.inline else None
    steps = [Step(functools.partial(inline.Texts, job.inputs, encoding), config.tokenize)] if encoding else []
    writer = functools.partial(
        vector_writer, reader, job.out, config.write_batch, config.training.precision, config.writers, encoding
    )
    progress = Progress(job.report, len(missing), "shards", of="vectors")
    for _ in job.compute.map(missing, *steps, Step(writer, config.writers)):
        progress.advance()
