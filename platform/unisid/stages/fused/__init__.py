"""Makes the fused vectors: neighbour tables, a fusion that learns from them, then every item's vector.

Shards that are there are kept, and so is a fusion whose `fusion.json` is there: it is written after the weights.
N items, W width of the fused vector.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import pyarrow as pa
import torch

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.embeddings import Embeddings
from unisid.artifacts.fused import FAMILY
from unisid.artifacts.graph import Graph
from unisid.artifacts.reading import whole
from unisid.artifacts.shards import Shards, missing_parts, to_arrow, write_shard
from unisid.artifacts.store import Place
from unisid.artifacts.weights import read_json, read_weights, write_json, write_weights
from unisid.bounds import Count, CountOrNone, Range, Settings
from unisid.compute import Job, Metrics, Pool, Step, Worker
from unisid.config import Json, from_record, identity_where, runtime, to_record
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.fusion import Fusion, FusionConfig, LearnedFusion, uqf
from unisid.ops.nearest import EXACT_LIMIT
from unisid.ops.neighbours import Measure
from unisid.progress import Progress
from unisid.stages.fused.contrast import Contrast, Loss
from unisid.stages.fused.neighbours import ROWS, SEMANTIC, STRUCTURE, make_tables
from unisid.stages.fused.reading import Reader
from unisid.training import loop
from unisid.training.loop import Training
from unisid.training.precision import Precision, autocast

WEIGHTS, DESCRIPTION = "weights.safetensors", "fusion.json"


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """Which fusion, and how it learns; the defaults are the thesis's."""

    fusion: FusionConfig = field(default_factory=uqf.Config)
    """What makes one vector of text and graph."""
    num_neighbours: Annotated[int, Range(1, 10_000)] = 50
    """Neighbours of each kind that an item has; positives are drawn from them."""
    shared_users: Measure = field(
        default="count", metadata=identity_where(lambda config: config.shared_users != "count")
    )
    """Which items share most users with an item: by their `count`, the thesis's form, by which popular items are
    neighbours of most; or by `cosine`, the count over the root of both items' numbers of users."""
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
    write_batch: Count = runtime(1024)
    """Items fused at a time once learning is over."""
    pool: Pool = runtime(Pool())
    """Who learns; the workers' number must divide the batch size."""
    writers: Pool = runtime(Pool())
    """Who searches neighbours and writes vectors."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size % max(1, self.pool.workers):
            raise ConfigError(f"fused.batch_size: {self.batch_size} does not divide into equal shares for "
                              f"{self.pool.workers} workers; make it a multiple of fused.pool.workers")  # fmt: skip


@dataclass(frozen=True)
class Task:
    """What a worker needs to learn a fusion."""

    config: Config
    reader: Reader
    out: Place
    num_items: int
    text_width: int
    graph_width: int


def inputs(config: Config) -> tuple[str, ...]:
    """The nouns that it reads; one that the recipe leaves out is absent."""
    return ("catalog", "embeddings", "graph")


def sources(config: Config) -> dict[str, Json]:
    """Nothing but artifacts goes in."""
    return {}


def make(job: Job) -> Json:
    """Write `vectors-*.arrow` and the fusion; for one that learns, the neighbour tables before."""
    config: Config = job.config
    embeddings, graph = Embeddings.read(job.inputs["embeddings"]), Graph.read(job.inputs["graph"])
    num_items = _agreed_items(Catalog.read(job.inputs["catalog"]), embeddings, graph)
    fusion = config.fusion.build(embeddings.width, graph.width)
    states = fusion.reads_states and embeddings.has_states
    reader = Reader(job.inputs["catalog"], embeddings.place, graph.place, states)
    counts: Json = {"items": num_items, "width": fusion.width}
    if fusion.reads_states and not states:
        counts["degenerate"] = True
        job.say("warning: the embeddings hold pooled vectors only; attention over a single token is a fixed linear "
                "map, so the fusion can learn little: set embeddings.keep_states for token states")  # fmt: skip
    if isinstance(fusion, LearnedFusion):
        counts |= _tables(job, config, reader, num_items)
    task = Task(config, reader, job.out, num_items, embeddings.width, graph.width)
    counts |= _learn(job, task, learns=isinstance(fusion, LearnedFusion))
    if "valid" in counts:
        job.say(_spoken(counts["valid"]))
    write_vectors(job, reader, config, missing_parts(job.out, FAMILY, num_items, ROWS))
    text_only = int(Shards(job.out, FAMILY).read("text_only").sum())
    if text_only:
        job.say(f"{text_only} items have no interactions: their vectors come from text alone, and are marked")
    return counts | {"text_only": text_only}


def load(place: Place) -> Fusion:
    """The fusion of an artifact, ready to fuse further items."""
    described = read_json(place, DESCRIPTION)
    with whole(place, DESCRIPTION, "the settings of a fusion"):
        config = from_record(FusionConfig, described["fusion"])  # type: ignore[type-abstract]
        fusion = config.build(int(described["text_width"]), int(described["graph_width"]))
    with whole(place, WEIGHTS, f"the weights of the fusion that {DESCRIPTION} describes"):
        if fusion.state_dict():
            fusion.load_state_dict(read_weights(place, WEIGHTS))
    return fusion.eval()


def learn(worker: Worker, task: Task) -> Json:
    """Learn the fusion on a worker; rank 0 writes it."""
    config = task.config
    torch.manual_seed(config.training.seed)
    model = config.fusion.build(task.text_width, task.graph_width)
    assert isinstance(model, LearnedFusion)
    tables = Shards(task.out, STRUCTURE), Shards(task.out, SEMANTIC)
    objective = Contrast(model, worker, task.reader, config.loss, tables, task.num_items, config.batch_size,
                         config.training.seed)  # fmt: skip
    outcome = loop.run(worker, objective, config.training)
    learned: Json = {
        "best_valid_loss": outcome.best_score,
        "best_epoch": outcome.best_epoch,
        "epochs": outcome.epochs,
        "valid": {name: value for name, value in outcome.best.items() if name != "score"},
    }
    if worker.rank == 0:
        write_fusion(task, model, learned)
    return learned


def write_fusion(task: Task, model: Fusion, learned: Json) -> None:
    """Weights first: the description's presence says that both are whole."""
    if model.state_dict():
        write_weights(task.out, WEIGHTS, model.state_dict())
    described = {"fusion": to_record(task.config.fusion), "text_width": task.text_width,
                 "graph_width": task.graph_width, "learned": learned}  # fmt: skip
    write_json(task.out, DESCRIPTION, described)


def vector_writer(
    reader: Reader, out: Place, batch: int, precision: Precision, pool: Pool
) -> Callable[[pa.Table], pa.Table]:
    """A part -> its shard of vectors."""
    where = pool.device()
    fusion = load(out).to(where)

    def write(part: pa.Table) -> pa.Table:
        row = part.to_pylist()[0]
        rows = np.arange(row["start"], row["stop"])
        vectors = np.empty((len(rows), fusion.width), np.float32)
        for start in range(0, len(rows), batch):
            some = rows[start : start + batch]
            items, place = reader.read(some).view(np.arange(len(some)), np.zeros(len(some), np.int64))
            with torch.inference_mode(), autocast(precision, where):
                vectors[start : start + batch] = fusion(items.to(where)).float().cpu().numpy()[place]
        if not np.isfinite(vectors).all():
            raise reader.not_finite("embeddings", rows[~np.isfinite(vectors).all(axis=1)])
        table = pa.table({"vector": to_arrow(vectors), "text_only": reader.text_only(rows)})
        write_shard(out, FAMILY, row["shard"], table)
        return part

    return write


def _agreed_items(catalog: Catalog, embeddings: Embeddings, graph: Graph) -> int:
    counts = {catalog.num_items, len(embeddings.shards), len(graph.items)}
    if len(counts) > 1:
        raise ArtifactError(
            f"fused: the catalog has {catalog.num_items} items, the embeddings {len(embeddings.shards)}, "
            f"the graph {len(graph.items)}; all must be of one catalog"
        )
    if catalog.num_items < 2:
        raise DataError(f"{catalog.place}: has {catalog.num_items} items; neighbours need at least 2")
    return catalog.num_items


def _tables(job: Job, config: Config, reader: Reader, num_items: int) -> Json:
    return make_tables(job, reader, num_items, config.num_neighbours, config.exact_limit, config.shared_users,
                       config.writers)  # fmt: skip


def _learn(job: Job, task: Task, *, learns: bool) -> Json:
    if job.out.exists(DESCRIPTION):
        job.say("the fusion is there already")
    elif learns:
        job.compute.fit(learn, task, name=f"{job.name}-fusion", pool=task.config.pool, work=job.work,
                        report=job.report)  # fmt: skip
    else:
        write_fusion(task, task.config.fusion.build(task.text_width, task.graph_width), {})
    learned: Json = read_json(job.out, DESCRIPTION)["learned"]
    return learned


def _spoken(valid: Metrics) -> str:
    kinds = ((STRUCTURE, "shared users"), (SEMANTIC, "alike texts"))
    parts = (f"{valid[name]:.3f} for {what} (by chance {valid[f'{name}_chance']:.3f})" for name, what in kinds)
    return f"loss of held-out items: {', '.join(parts)}"


def write_vectors(job: Job, reader: Reader, config: Config, missing: list[Json]) -> None:
    """Fuse the items of some parts with the fusion of `job.out`, and write each as its shard."""
    writer = functools.partial(
        vector_writer, reader, job.out, config.write_batch, config.training.precision, config.writers
    )
    progress = Progress(job, len(missing), "shards", of="vectors")
    for _ in job.compute.map(missing, Step(writer, config.writers)):
        progress.advance()
