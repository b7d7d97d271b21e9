"""All operations that a stage has on the machines: two verbs, `fit` and `map`, and what a worker offers inside `fit`.

Implementations live in `runtime`: `local` (this process, or plain processes over gloo) and `ray_*`. A stage
does not depend on which it runs on.
"""

from __future__ import annotations  # torch is named here, not imported: many a step's process needs none

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, Protocol, TypeVar

import pyarrow as pa

from unisid.artifacts.store import Place
from unisid.bounds import Range, Settings
from unisid.config import runtime
from unisid.errors import ConfigError
from unisid.legend import Figure

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

T = TypeVar("T")
B = TypeVar("B")
C = TypeVar("C")
Metrics = Mapping[str, float]
Report = Callable[[Metrics], None]
Part = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Pool(Settings):
    """How many workers, and what each is given. It bears no identity."""

    workers: Annotated[int, Range(0, 1 << 16)] = runtime(1)
    """Processes that work at the same time; 0 for `fit`: inside the calling process, for tiny work."""
    cpus: Annotated[float, Range(0, 4096, above=True)] = runtime(1.0)
    """Cores a worker; also its number of threads."""
    gpus: Annotated[float, Range(0, 1024)] = runtime(0.0)
    """GPUs a worker; a fraction shares one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ConfigError(f"pool.gpus: is {self.gpus}; must be a whole number, or at most 1 for a share of one GPU")

    def device(self) -> torch.device:
        """The device of one of its workers; call it in the worker, since the driver may have another."""
        import torch

        gpu = self.gpus > 0 and torch.cuda.is_available()
        return torch.device("cuda", torch.cuda.current_device()) if gpu else torch.device("cpu")


@dataclass(frozen=True)
class Stream:
    """A table to train on, read in stored order: the Parquet files of a place whose names begin with `prefix`."""

    place: Place
    prefix: str
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Descent:
    """How gradients become steps, for every engine."""

    zero: Literal[0, 1, 2, 3] = 0
    """What workers share out among themselves: 1 the optimizer's state, 2 gradients too, 3 weights too; 0 nothing."""
    bfloat16: bool = False
    """Whether forward passes are in bfloat16; what is learned adds up in float32 all the same."""
    weight_decay: float = 0.0
    """Of AdamW."""
    gradient_clip: float = 0.0
    """Largest norm of a step's whole gradient; 0 for no limit."""
    micro_batches: int = 1
    """Backward passes a step, on every worker."""
    parts: tuple[str, ...] = ("",)
    """What the names of weights begin with that learn at a rate of their own; a weight is of the first that fits."""


class Engine(Protocol):
    """Who holds a model while it learns. Every method must be called by all workers, as collectives are."""

    def loss(self, measure: Callable[[B], T], batch: B) -> T:
        """`measure(batch)`, with the model's weights at hand and in the precision that was set."""
        ...

    def backward(self, loss: Tensor) -> None:
        """Add a micro-batch's gradient; the step's is the mean over workers of what each has added."""
        ...

    def step(self, rate: float, shares: Sequence[float] = (1.0,)) -> None:
        """Clip, update at this learning rate, and forget the gradient.

        Args:
            shares: of the rate, for each of `Descent.parts`. Weights of a part whose share is 0 stay as they are, bit
                for bit, and so does the optimizer's state of them.
        """
        ...

    def whole(self) -> AbstractContextManager[object]:
        """Inside, the model has all its weights on every worker, and computes in the precision that was set: to
        validate or to copy, not to change them."""
        ...

    def state(self) -> Iterator[tuple[str, Tensor]]:
        """All that learning changes, one whole tensor after another, on every worker; `Worker.engine` takes it back.

        Weights are named `model.<name>`, the optimizer's `<slot>.<name>`. Weights that learn nothing are not in it:
        building the model restores them.
        """
        ...

    def release(self) -> None:
        """Give the model back as it came: ordinary weights, whole on every worker. The engine is over."""
        ...


class Worker(Protocol):
    """One of the `size` equal processes of a fit. Every collective must be called by all of them."""

    rank: int
    size: int
    device: torch.device

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """The sum over workers, in place; carries no gradient."""
        ...

    def all_gather(self, tensor: Tensor) -> Tensor:
        """Every worker's tensor [n, ...] joined in rank order: [size * n, ...]; one n for all; gradients flow back."""
        ...

    def broadcast(self, tensor: Tensor) -> Tensor:
        """Rank 0's tensor, in place, on every worker."""
        ...

    def engine(self, model: nn.Module, descent: Descent, state: Mapping[str, Tensor] | None = None) -> Engine:
        """Hand over a model that lies on this worker's device, equal on all of them.

        Args:
            state: what an `Engine.state` once gave, to go on from; of any engine and any number of workers.

        Raises:
            ConfigError: for ZeRO where the package that does it is missing.
        """
        ...

    def stream(self, name: str) -> Iterator[pa.Table]:
        """One pass over this worker's share of the named `Stream`, in stored order."""
        ...

    def report(self, metrics: Metrics, save: Callable[[Path], None] | None = None) -> None:
        """Say how the fit goes; with `save`, also commit a checkpoint: rank 0 writes files into the given directory."""
        ...

    def progress(self, metrics: Metrics) -> None:
        """Report progress within the fit: rank 0's alone; after a crash some may be repeated."""
        ...

    def commit(self, steps: int, save: Callable[[Path], None]) -> None:
        """Commit a checkpoint between two reports: rank 0 writes files into the given directory.

        Args:
            steps: how much was done since the last report, in a unit of the fit's own; at least 1.
        """
        ...

    def is_preempted(self) -> bool:
        """Whether the machine of any worker is about to be taken away; the same answer on every worker."""
        ...

    def resume(self) -> Path | None:
        """The directory of the last committed checkpoint of this very fit, if there is one."""
        ...


@dataclass(frozen=True)
class Step:
    """One link of a streaming chain. `make` runs once in each worker; what it returns maps a table to a table."""

    make: Callable[[], Callable[[pa.Table], pa.Table]]
    pool: Pool


class Compute(Protocol):
    """The machines."""

    here: bool
    """Whether all work is done by this process and those that it began."""

    def fit(
        self,
        train: Callable[[Worker, Any], T],
        task: Any,
        *,
        name: str,
        pool: Pool,
        work: Place,
        streams: Mapping[str, Stream] | None = None,
        report: Report | None = None,
    ) -> T:
        """Run `train(worker, task)` on every worker of the pool; returns rank 0's result.

        Args:
            train: a module-level function; `task` must pickle.
            name: identifies this fit among all that were ever started at `work`: a fit of the same name resumes.
            work: where checkpoints lie; on several machines it must be shared storage.
            report: called in this process with what rank 0 reports.

        Raises:
            UnisidError: as raised in a worker. A worker that dies is replaced and the fit resumes.
        """
        ...

    def map(self, parts: Sequence[Part], *steps: Step) -> Iterator[pa.Table]:
        """Stream every part through the steps; yields one table a part, in no stated order.

        The first step receives a table of one row (the part); each later step, the whole table before it.
        Parts are the grain of parallelism and of retry: a part may run more than once, so what a step writes
        must be whole or absent (`write_shard` is).
        """
        ...


@dataclass(frozen=True)
class Task(Generic[C]):
    """A worker's instructions: a stage's settings and places, without the driver's machines and reports."""

    config: C
    inputs: Mapping[str, Place]
    """Role -> a complete artifact."""
    out: Place


@dataclass(frozen=True, kw_only=True)
class Job(Generic[C]):
    """What a stage is given: its settings, where its inputs lie, where to write, and the machines."""

    config: C
    """The stage's own `Config`."""
    inputs: Mapping[str, Place]
    """Role -> a complete artifact; an optional input that the recipe leaves out is absent."""
    out: Place
    """Where the artifact's files go."""
    name: str
    """Identifies this very making, settings and inputs included: the address and the fingerprint's start."""
    compute: Compute
    """The machines."""
    report: Report
    """Where curves go: call with {"name": value, ..., "step": n}; names are prefixed by the noun for the tracker."""
    judged_by: Callable[[Figure], None] = field(default=lambda score: None)
    """Call with what the reported `valid_score` is, before a training: its words, its direction, its unit."""

    @property
    def task(self) -> Task[C]:
        """The part of the job that is sent to workers: settings, inputs, output."""
        return Task(self.config, dict(self.inputs), self.out)

    @property
    def work(self) -> Place:
        """Where checkpoints lie while the stage runs; removed when it is complete."""
        return self.out / ".work"
