"""The plain compute: this process, or a few processes of this machine over gloo. No cluster, no Ray.

It is what tests, laptops and a lone GPU use, and the yardstick that the Ray runtime is held against.
"""

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import torch
import torch.distributed as dist
import torch.multiprocessing

from unisid.artifacts.store import Place
from unisid.compute import Metrics, Part, Pool, Report, Step, Stream, Worker
from unisid.errors import UnisidError
from unisid.runtime.process_group import Collectives

T = TypeVar("T")


class LocalWorker(Collectives):
    """A worker whose checkpoints are directories `<work>/<name>/checkpoint-<n>`; the last whole one counts."""

    def __init__(self, pool: Pool, streams: Mapping[str, Stream], folder: Path, report: Report | None) -> None:
        super().__init__(pool, streams)
        self.folder, self.tell = folder, report

    def report(self, metrics: Metrics, save: Callable[[Path], None] | None = None) -> None:
        if self.rank == 0 and save is not None:
            old = self._checkpoints()
            number = int(old[-1].name.rpartition("-")[2]) + 1 if old else 0
            draft = self.folder / f".draft-{number}"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            save(draft)
            draft.rename(self.folder / f"checkpoint-{number:06d}")
            for directory in old:
                shutil.rmtree(directory)
        if self.size > 1:
            dist.barrier()
        if self.rank == 0 and self.tell is not None:
            self.tell(metrics)

    def resume(self) -> Path | None:
        found = self._checkpoints()
        return found[-1] if found else None

    def _checkpoints(self) -> list[Path]:
        return sorted(self.folder.glob("checkpoint-*"))


class LocalCompute:
    """`fit` and `map` without a cluster. Checkpoints need a local work place."""

    def fit(self, train: Callable[[Worker, Any], T], task: Any, *, name: str, pool: Pool, work: Place,
            streams: Mapping[str, Stream] | None = None, report: Report | None = None) -> T:  # fmt: skip
        base = Path(work.uri) if work.is_local else Path(tempfile.gettempdir()) / "unisid"
        folder = base / name.replace("/", "_")
        if pool.workers <= 1:
            threads = torch.get_num_threads()
            try:
                return train(LocalWorker(pool, streams or {}, folder, report), task)
            finally:
                torch.set_num_threads(threads)
        return _spawn(train, task, pool, streams or {}, folder, report)

    def map(self, parts: Sequence[Part], *steps: Step) -> Iterator[pa.Table]:
        functions = [step.make() for step in steps]
        for part in parts:
            table = pa.Table.from_pylist([part])
            for function in functions:
                table = function(table)
            yield table


def _spawn(train: Callable[[Worker, Any], T], task: Any, pool: Pool, streams: Mapping[str, Stream], folder: Path,
           report: Report | None) -> T:  # fmt: skip
    context = torch.multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = (train, task, pool, streams, folder, port, results)
    processes = torch.multiprocessing.spawn(_process, args=arguments, nprocs=pool.workers, join=False)  # type: ignore[attr-defined]
    outcome = None
    alive = True
    try:
        while alive:
            alive = not processes.join(timeout=0.2)
            while not results.empty():
                kind, value = results.get()
                if kind == "report" and report is not None:
                    report(value)
                elif kind == "error":
                    raise value
                elif kind == "result":
                    outcome = value
    finally:
        for process in processes.processes:
            process.terminate()
    return outcome  # type: ignore[return-value]


def _process(rank: int, train: Callable[[Worker, Any], T], task: Any, pool: Pool, streams: Mapping[str, Stream],
             folder: Path, port: int, results: Any) -> None:  # fmt: skip
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    gpu = pool.gpus > 0 and torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(rank % torch.cuda.device_count())
    dist.init_process_group("nccl" if gpu else "gloo", rank=rank, world_size=pool.workers)
    try:
        worker = LocalWorker(pool, streams, folder, lambda metrics: results.put(("report", dict(metrics))))
        value = train(worker, task)
        if rank == 0:
            results.put(("result", value))
    except UnisidError as error:
        results.put(("error", error))
    finally:
        dist.destroy_process_group()
