"""catalog -> graph: every item's vectors from the interaction graph, layer by layer, by LightGCN trained with BPR.

Every worker holds the whole graph and its own columns of all vectors; a step adds up the batch's 2B dot products
over workers and exchanges nothing else, and `validation` joins columns of items. So W workers compute what one
computes. Batches are large, because each step propagates through the whole graph. U users, N items, V = U + N nodes,
M edges, w own columns, D all columns.
"""

import time
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int
from torch import Tensor

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.graph import ITEMS, USERS
from unisid.artifacts.shards import to_arrow, write_shard
from unisid.artifacts.store import Place
from unisid.bounds import Count, NotNegative, Positive, Seed, Settings
from unisid.compute import Job, Pool, Task, Worker
from unisid.config import Json, identity_where, runtime
from unisid.errors import ConfigError, DataError
from unisid.graphs import GraphConfig, GraphModel, lightgcn
from unisid.log import logger
from unisid.ops.bpr import bpr
from unisid.progress import HowFar, Throttle
from unisid.stages.extension import Base
from unisid.stages.graph.edges import Edges
from unisid.stages.graph.validation import CUTOFF, validate
from unisid.training import columns
from unisid.training.loop import PROGRESS_SECONDS
from unisid.training.within import Within

LOG = logger(__name__)

SHARD_ROWS = 1 << 15


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """How the graph is learned."""

    graph: GraphConfig = field(default_factory=lightgcn.Config)
    """The kind of graph model, with its layers and width."""
    learning_rate: Positive = 2e-2
    """Of Adam, constant. Large batches bear, and need, more than the 1e-3 that is usual at 2,048 edges."""
    batch_edges: Count = 16_384
    """B: edges of a step, which propagates through the whole graph: a large graph wants about a tenth of its edges."""
    epochs: Count = 300
    """At most this many passes over the edges."""
    validate_every: Count = 5
    """Epochs between validations."""
    patience: Count = 5
    """Stop after this many validations without a better recall."""
    validation_users: Count = 10_000
    """At most this many users, drawn by seed, are ranked for; all items are scored for each."""
    use_all_interactions: bool = False
    """Learn from validation and test interactions too, as the UQF thesis does. It leaks: for comparison only."""
    seed: Seed = 42
    """Decides first vectors, the order of edges, the unknown items and the validation users."""
    base: Base | None = field(default=None, metadata=identity_where(lambda config: config.base is not None))
    """The older version whose items stay as they are; None: all are made anew. `unisid index extend` sets it."""
    known: Base | None = field(default=None, metadata=identity_where(lambda config: config.known is not None))
    """The catalog that the base was learned from: it says who the base's users are."""
    checkpoint_seconds: NotNegative = runtime(120.0)
    """Commit a checkpoint at the first validation after so many seconds; a killed fit loses no more than this."""
    pool: Pool = runtime(Pool())
    """Each worker takes a share of the columns and holds the whole graph."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.graph.width < self.pool.workers:
            raise ConfigError(
                f"graph: {self.pool.workers} workers share {self.graph.width} columns; "
                f"graph.pool.workers must be at most graph.graph.width"
            )


def inputs(config: Config) -> tuple[str, ...]:
    """The nouns that it reads; one that the recipe leaves out is absent."""
    return ("catalog",)


def sources(config: Config) -> dict[str, Json]:
    """Nothing but artifacts goes in."""
    return {}


def make(job: Job[Config]) -> Json:
    """Learn the graph and write its layers; returns the counts."""
    config = job.config
    catalog = Catalog.read(job.inputs["catalog"])
    LOG.info(
        f"graph: {config.graph.kind} of {config.graph.num_layers} layers x {config.graph.width} columns for "
        f"{catalog.num_users:,} users and {catalog.num_items:,} items, on {config.pool.workers} workers"
    )
    if config.use_all_interactions:
        LOG.warning("graph: learns from validation and test interactions too; its results LEAK, for comparison only")
    name = f"{job.name}-{config.graph.kind}"
    counts = job.compute.fit(train, job.task, name=name, pool=config.pool, work=job.work, report=job.report)
    LOG.info(
        f"graph: recall@{CUTOFF} {counts['best_recall']:.4f} of {counts['validation_targets']:,} validation "
        f"targets after {counts['best_epoch']} of {counts['epochs']} epochs; "
        f"{counts['isolated_items']:,} items have no interactions and zero vectors"
    )
    return counts


def train(worker: Worker, task: Task[Config]) -> Json:
    """The work of one worker: learn its columns, then write its share of the shards."""
    config = task.config
    edges = Edges.read(task.inputs["catalog"], config, worker.device)
    mine = columns.owned(config.graph.width, worker.rank, worker.size)
    model = config.graph.build(edges.graph, mine, config.seed).to(worker.device)
    state = learn(worker, config, model, edges)
    with torch.no_grad():
        final, layers = model(), model.layers()
    num_users, width = edges.graph.num_users, config.graph.width
    _write(worker, task.out, USERS, "vector", [final[:num_users]], edges.user_degree, width)
    _write(worker, task.out, ITEMS, "layers", [layer[num_users:] for layer in layers], edges.item_degree, width)
    worker.all_reduce(torch.zeros(1, device=worker.device))  # no worker returns before all shards are written
    return edges.counts(config) | {
        "layers": len(layers),
        "width": width,
        "best_recall": state["best_recall"],
        "best_epoch": state["best_epoch"],
        "epochs": state["epoch"],
    }


def learn(worker: Worker, config: Config, model: GraphModel, edges: Edges) -> Json:
    """Train until the epochs are done or recall no longer improves; leaves the best vectors in the model."""
    optimizer = torch.optim.Adam([model.vectors], lr=config.learning_rate, fused=True)
    slots = {
        "step": torch.zeros((), device=worker.device),
        "exp_avg": torch.zeros_like(model.vectors),
        "exp_avg_sq": torch.zeros_like(model.vectors),
    }
    optimizer.state[model.vectors].update(slots)
    best = model.vectors.detach().to("cpu", copy=True)
    state: Json = {"epoch": 0, "step": 0, "best_recall": -1.0, "best_epoch": 0}
    kept = {"vectors": model.vectors.data, "best": best, "first": slots["exp_avg"], "second": slots["exp_avg_sq"]}
    if (directory := worker.resume()) is not None:
        state = columns.load(directory, kept, columns.owned(config.graph.width, worker.rank, worker.size))
        slots["step"].fill_(state["step"])
    within, interim = Within(worker), Interim(worker)
    while state["epoch"] < min(config.epochs, state["best_epoch"] + config.patience * config.validate_every):
        loss = train_epoch(worker, config, model, edges, optimizer, state, interim)
        noticed = within.due()
        if state["epoch"] % config.validate_every and state["epoch"] < config.epochs:
            if noticed:
                worker.commit(state["epoch"], columns.saving(worker, kept, state, config.graph.width))
                within.restart()
            continue
        recall = validate(worker, model, edges, config.graph.width)
        if recall > state["best_recall"] or not len(edges.valid_user):
            state |= {"best_recall": recall, "best_epoch": state["epoch"]}
            best.copy_(model.vectors.detach())
        shown = {"loss": loss, f"valid_recall_{CUTOFF}": recall, "epoch": state["epoch"], "step": state["step"]}
        late = within.owed or time.monotonic() - within.saved > config.checkpoint_seconds
        due = worker.broadcast(torch.tensor([float(late)], device=worker.device)).item()
        worker.report(shown, columns.saving(worker, kept, state, config.graph.width) if due else None)
        if due:
            within.restart()
    model.vectors.data.copy_(best)
    return state


class Interim:
    """Says now and then how far it is: validations may lie many epochs apart, and an epoch may be long."""

    def __init__(self, worker: Worker) -> None:
        self.worker, self.due = worker, Throttle(PROGRESS_SECONDS)

    def __call__(self, total: Float[Tensor, ""], steps: int, state: Json, whole: int, begun: float) -> None:
        """After `steps` of an epoch of `whole`, begun at this time, whose losses come to `total`."""
        if self.worker.rank == 0 and self.due():
            far = HowFar("steps", steps, whole, steps / max(time.monotonic() - begun, 1e-9))
            running = {"running_loss": float(total) / steps, "step": state["step"] + steps}
            self.worker.progress({**running, **far.figures})


def train_epoch(
    worker: Worker,
    config: Config,
    model: GraphModel,
    edges: Edges,
    optimizer: torch.optim.Optimizer,
    state: Json,
    interim: Interim | None = None,
) -> float:
    """One pass over the edges; counts it and its steps in `state`, returns the mean loss."""
    total, steps, begun = torch.zeros((), device=worker.device), 0, time.monotonic()
    for users, known, unknown, weights in edges.batches(config, state["epoch"]):
        nodes = torch.cat([users, known + edges.graph.num_users, unknown + edges.graph.num_users])
        left, right, wrong = model().index_select(0, nodes).view(3, len(users), -1)
        # Summed in float64: the rounded total then hardly depends on how the columns were shared out.
        partial = torch.stack([(left * right).sum(1, dtype=torch.float64), (left * wrong).sum(1, dtype=torch.float64)])
        scores = columns.Total.apply(partial, worker).float()
        loss = bpr(scores[0], scores[1], weights)
        optimizer.zero_grad(set_to_none=True)
        (loss + model.penalty(nodes) / (2 * len(users))).backward()
        optimizer.step()
        total += loss.detach()
        steps += 1
        if interim is not None:
            interim(total, steps, state, edges.num_steps(config), begun)
    state |= {"epoch": state["epoch"] + 1, "step": state["step"] + steps}
    mean = float(total) / steps
    if not np.isfinite(mean):
        raise DataError(
            f"graph, epoch {state['epoch']}: the loss is {mean}; lower graph.learning_rate ({config.learning_rate})"
        )
    return mean


def _write(
    worker: Worker,
    out: Place,
    family: str,
    column: str,
    layers: list[Float[Tensor, "n w"]],
    degree: Int[np.ndarray, " n"],
    width: int,
) -> None:
    """Write the layers of n nodes, zero where there is no edge.

    Whole columns meet a shard at a time; workers take turns at writing.
    """
    for index, start in enumerate(range(0, len(degree), SHARD_ROWS)):
        rows = slice(start, start + SHARD_ROWS)
        part = torch.stack([layer[rows] for layer in layers], 1)
        part[torch.from_numpy(degree[rows] == 0).to(part.device)] = 0.0
        whole = columns.join(worker, part, width)
        if index % worker.size == worker.rank:
            known = {"degree": pa.array(degree[rows])} if family == ITEMS else {}
            table = {column: to_arrow(whole.cpu().numpy())} | known
            write_shard(out, family, index, pa.table(table))
