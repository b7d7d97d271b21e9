"""The plain compute: this process, or a few processes of this machine over gloo or NCCL. No cluster, no Ray.

It is what tests, laptops and a lone GPU use, and the yardstick that the Ray runtime is held against.
"""

import contextlib
import functools
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import torch
import torch.distributed as dist
import torch.multiprocessing
from torch.multiprocessing.spawn import ProcessException

from unisid.artifacts.store import Place
from unisid.compute import Metrics, Part, Pool, Report, Step, Stream, Worker
from unisid.errors import MachineError, UnisidError
from unisid.runtime.checkpoints import Checkpoints, Position
from unisid.runtime.leftovers import Scratch
from unisid.runtime.process_group import Collectives
from unisid.training.memory import device_peak, forget_device_peak

T = TypeVar("T")
Send = Callable[[int, Metrics], None]
PROGRESS = -1
"""Sequence number for time-based progress messages, which are not part of the numbered reports."""


class Member(Collectives):
    """A worker of a fit: its checkpoints lie at the fit's work place, its reports go through `send`, numbered.

    Args:
        last: the checkpoint to resume from, as rank 0 found it before the fit began, so that all agree.
        send: called on rank 0 with the report's number (a resumed fit goes on where its checkpoint stands).
    """

    def __init__(
        self, pool: Pool, streams: Mapping[str, Stream], checkpoints: Checkpoints, last: Position | None, send: Send
    ) -> None:
        super().__init__(pool, streams)
        self.checkpoints, self.last, self.send = checkpoints, last, send
        self.reports = 0
        forget_device_peak(self.device)
        torch.manual_seed(0)  # a process that serves several fits starts each like a fresh one

    def report(self, metrics: Metrics, save: Callable[[Path], None] | None = None) -> None:
        if self.rank == 0:
            if save is not None:
                self.checkpoints.commit(Position(self.reports + 1), save)
            self.send(self.reports, {**metrics, **device_peak(self.device)})
        self.reports += 1

    def progress(self, metrics: Metrics) -> None:
        if self.rank == 0:
            self.send(PROGRESS, metrics)

    def commit(self, steps: int, save: Callable[[Path], None]) -> None:
        if self.rank == 0:
            self.checkpoints.commit(Position(self.reports, steps), save)

    def is_preempted(self) -> bool:
        """Never: a process of this machine is ended by a signal, without notice."""
        return False

    def resume(self) -> Path | None:
        if self.last is None:
            return None
        self.reports = self.last.reports
        self.scratch = Scratch("resume")  # goes with this worker
        return self.checkpoints.fetch(self.last, Path(self.scratch.name))


class LocalCompute:
    """`fit` and `map` without a cluster."""

    here = True

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
        checkpoints = Checkpoints(work, name)
        if pool.workers <= 1:
            return fit_here(train, task, pool, streams or {}, checkpoints, report)
        return _fit_apart(train, task, pool, streams or {}, checkpoints, report)

    def map(self, parts: Sequence[Part], *steps: Step) -> Iterator[pa.Table]:
        functions = [step.make() for step in steps]
        for part in parts:
            table = pa.Table.from_pylist([part])
            for function in functions:
                table = function(table)
            yield table


def fit_here(
    train: Callable[[Worker, Any], T],
    task: Any,
    pool: Pool,
    streams: Mapping[str, Stream],
    checkpoints: Checkpoints,
    report: Report | None,
) -> T:
    """Run a fit of one worker inside this process, whose threads and random state stay as they were."""
    threads = torch.get_num_threads()
    device = pool.device()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            send = functools.partial(_forward, report)
            return train(Member(pool, streams, checkpoints, checkpoints.last(), send), task)
        finally:
            torch.set_num_threads(threads)


def _forward(report: Report | None, number: int, metrics: Metrics) -> None:
    if report is not None:
        report(metrics)


def _fit_apart(
    train: Callable[[Worker, Any], T],
    task: Any,
    pool: Pool,
    streams: Mapping[str, Stream],
    checkpoints: Checkpoints,
    report: Report | None,
) -> T:
    context = _context(train)
    results, taken = context.SimpleQueue(), context.Event()
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = (train, task, pool, streams, checkpoints, checkpoints.last(), port, results, taken, dict(os.environ))
    processes = torch.multiprocessing.start_processes(  # type: ignore[attr-defined]
        _process, args=arguments, nprocs=pool.workers, join=False, start_method=context.get_start_method()
    )
    outcome = None
    alive = True

    def take() -> None:
        nonlocal outcome
        while not results.empty():
            kind, value = results.get()
            if kind == "report":
                _forward(report, 0, value)
            elif kind == "error":
                raise value
            else:
                outcome = value
                taken.set()

    try:
        while alive:
            alive = not processes.join(timeout=0.1)
            take()
    except ProcessException as error:
        take()  # one worker's error, which cut its peers off in the middle of what they did together
        raise _lost(checkpoints.name, [process.exitcode for process in processes.processes]) or error from None
    finally:
        for process in processes.processes:
            process.terminate()
            process.join()
    return outcome  # type: ignore[return-value]


def _context(train: Callable[..., Any]) -> Any:
    """The multiprocessing context that starts workers: forked from a process that has imported what the first fit needs
    and does nothing else, where the system has that (imports take longer than a small fit); else spawned."""
    if "forkserver" not in torch.multiprocessing.get_all_start_methods():
        return torch.multiprocessing.get_context("spawn")
    context = torch.multiprocessing.get_context("forkserver")
    # read once, when the server starts; every optimizer imports the last, which takes longer than the first epochs may
    context.set_forkserver_preload([__name__, train.__module__, "torch._dynamo"])
    return context


def _lost(name: str, codes: Sequence[int | None]) -> MachineError | None:
    """The error for workers that a signal ended, whatever its peers made of it; None where none was."""
    ours = (signal.SIGTERM, signal.SIGINT)  # so PyTorch ends the peers of one that failed
    numbers = [-code for code in codes if code is not None and code < 0 and -code not in ours]
    if not numbers:
        return None
    ended = ", ".join(sorted({signal.Signals(number).name for number in numbers}))
    return MachineError(
        f"fit '{name}': a worker was ended by {ended}, perhaps for memory; more memory or smaller "
        "batches are needed; the same command goes on from there"
    )


def _process(
    rank: int,
    train: Callable[[Worker, Any], T],
    task: Any,
    pool: Pool,
    streams: Mapping[str, Stream],
    checkpoints: Checkpoints,
    last: Position | None,
    port: int,
    results: Any,
    taken: Any,
    environment: Mapping[str, str],
) -> None:
    os.environ.clear()  # what the server started with may be out of date
    os.environ |= {**environment, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    gpus = torch.cuda.device_count() if pool.gpus > 0 else 0
    if gpus:
        torch.cuda.set_device(rank % gpus)
    # NCCL refuses two ranks on one GPU
    backend = "nccl" if gpus >= pool.workers else "gloo"
    dist.init_process_group(backend, rank=rank, world_size=pool.workers)
    try:
        value = train(Member(pool, streams, checkpoints, last, lambda _, m: results.put(("report", dict(m)))), task)
        if rank == 0:
            results.put(("result", value))
            taken.wait()  # tensors are sent as handles into this process
        dist.barrier()
    except UnisidError as error:
        results.put(("error", error))
    finally:
        dist.destroy_process_group()
    # Everything is handed over. Taking the interpreter down while the threads of gloo and Arrow end can abort a process
    # that did all its work ("terminate called without an active exception").
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
