"""Bytes that two Ray nodes send one another, by stage, and how far what they make is what one process makes.

python -m benchmarks.two_nodes      (Linux, as root: each node lies in a network namespace of its own)

The namespaces are joined by a veth pair, whose counters are read around each stage. The driver runs beside the head: it
reaches its node by a socket's file, and other nodes reach the driver at that node's address. Every fit has two workers,
each of more than half of a node's cores, so one lies on each node; maps have two workers too. Files lie on the disk
that both nodes share, and so do not cross the wire.

Bytes a step are those of `benchmarks.workers`, beside its formula: what crosses in a fit, counted by its first worker,
in two lengths of training.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
from jaxtyping import Float, Shaped
from safetensors.numpy import load_file

from benchmarks import workers
from tests.runtime import heads
from unisid import pipeline
from unisid.artifacts.curve import FILE as CURVE
from unisid.artifacts.record import RECORD
from unisid.artifacts.store import Place, Store
from unisid.compute import Pool, Worker
from unisid.planning import Recipe
from unisid.runtime.local import LocalCompute
from unisid.runtime.ray_compute import RayCompute
from unisid.signals import stoppable
from unisid.tracker import NullTracker

SHORT, LONG = workers.LENGTHS
"""Epochs of the two runs; all else is of the long one."""
CPUS, EACH, SHARD = 2, 1.5, 100
"""Cores of a node, of a fit's worker (one thread), and items of a shard of embeddings."""
WIRE = "wire"
ADDRESSES = ("10.99.0.1", "10.99.0.2")
PATIENT: dict[str, Any] = {
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",
}
"""For a busy machine."""
STARTS = 5
"""So many times the second node is begun at the most."""
Event = dict[str, Any]


def main() -> dict[str, Any]:
    """By stage: bytes over the wire, seconds, and what is made beside the same of one process."""
    with stoppable(), tempfile.TemporaryDirectory(prefix="unisid-") as folder:
        alone = recipe(1, LONG)
        pipeline.run(alone, Store(Place.of(Path(folder, "one"))), LocalCompute(), NullTracker())
        with network() as (first, second):
            stages = _run(first, second, Path(folder, "two"))
        for noun, figures in stages.items():
            figures |= compared(*(Path(folder, run, noun, alone.name) for run in ("two", "one")))
    return {"items": workers.ITEMS, "epochs": LONG, "stages": stages}


def recipe(size: int, epochs: int) -> Recipe:
    """Every stage by so many workers and epochs."""
    base, mapped = workers.recipe(size, epochs), Pool(workers=size, cpus=(CPUS - EACH))
    fit = Pool(workers=size, cpus=EACH)
    return replace(
        base,
        embeddings=replace(base.embeddings, shard_rows=SHARD, pool=mapped),
        graph=replace(base.graph, pool=fit),
        fused=replace(base.fused, pool=fit, writers=mapped),
        codes=replace(base.codes, pool=fit),
        sequences=replace(base.sequences, pool=mapped),
        model=replace(base.model, pool=fit),
        metrics=replace(base.metrics, pool=mapped),
    )


@contextlib.contextmanager
def network() -> Iterator[tuple[str, str]]:
    """Two namespaces joined by a wire; their processes are killed and they are gone when the context ends."""
    names = (f"unisid-{os.getpid()}-1", f"unisid-{os.getpid()}-2")
    try:
        for name in names:
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("link", "add", WIRE, "netns", names[0], "type", "veth", "peer", "name", WIRE, "netns", names[1])
        for name, address in zip(names, ADDRESSES, strict=True):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", WIRE)
            _ip("-n", name, "link", "set", WIRE, "up")
        yield names
    finally:
        for name in names:
            left = subprocess.run(["ip", "netns", "pids", name], check=False, capture_output=True, text=True)
            for pid in left.stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), 9)
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def within(name: str) -> list[str]:
    """What begins a command in a namespace."""
    return ["ip", "netns", "exec", name]


def _run(first: str, second: str, folder: Path) -> dict[str, dict[str, Any]]:
    """The run on two nodes: the figures of its stages."""
    stages: dict[str, dict[str, Any]] = {}
    with contextlib.ExitStack() as stack:
        head = stack.enter_context(heads.head(CPUS, ip=ADDRESSES[0], within=within(first), **PATIENT))
        _join(head, second, stack)
        modules = os.pathsep.join(map(str, (heads.ROOT / "platform", heads.ROOT)))
        env = head.env | {"RAY_ADDRESS": head.address, "PYTHONPATH": modules}
        program = [*within(first), sys.executable, "-m", "benchmarks.two_nodes", "--inside", str(folder)]
        driver = subprocess.Popen(program, cwd=heads.ROOT, env=env, stdout=subprocess.PIPE, text=True)
        with _ended(driver):
            assert driver.stdout is not None
            for event in map(json.loads, driver.stdout):
                noun = event.pop("noun")
                print(noun, json.dumps(event), file=sys.stderr, flush=True)
                stages.setdefault(noun, {}).update(event)
        if driver.returncode:
            raise SystemExit(f"the run ended with {driver.returncode}, in {', '.join(stages)}")
    return stages


def _join(head: heads.Head, name: str, stack: contextlib.ExitStack) -> None:
    """Begin the second node, anew where that fails: on a busy machine its agent may not be there in Ray's 15 s."""
    for _ in range(STARTS):
        node = stack.enter_context(heads.node(head, CPUS, ADDRESSES[1], within(name)))
        with contextlib.suppress(AssertionError):
            heads.until(node.joined, "both nodes are there", 90)
            return
        heads.end(node.process, seconds=0)
    raise SystemExit(f"the second node did not join in {STARTS} starts")


@contextlib.contextmanager
def _ended(process: "subprocess.Popen[str]") -> Iterator[None]:
    """The process is over when the context is: it has ended by itself, or it is killed."""
    try:
        yield
        process.wait()
    finally:
        process.kill()
        process.wait()


class Counted(RayCompute):
    """Counts the bytes of each fit, by its name's first part."""

    def __init__(self, own: bool = True, max_failures: int = 3) -> None:
        super().__init__(own, max_failures)
        self.fits: dict[str, dict[str, Any]] = {}

    def fit(self, train: Any, task: Any, *, name: str, report: Any = None, **more: Any) -> Any:
        """The fit, and what crossed the wire in it; the figures of its last report stand beside it."""
        last: dict[str, float] = {}
        told, begun = workers.remembering(last, report), time.perf_counter()
        outcome, count = super().fit(partial(counting, train), task, name=name, report=told, **more)
        seconds = time.perf_counter() - begun
        self.fits[name.partition("/")[0]] = {"bytes": count, "seconds": seconds, "last": last}
        return outcome


def counting(train: Callable[[Worker, Any], Any], worker: Worker, task: Any) -> tuple[Any, int]:
    """In a worker: the result of its fit, and the bytes that crossed the wire meanwhile."""
    before = crossed()
    return train(worker, task), crossed() - before


class Told(NullTracker):
    """Prints when a stage begins, and what crossed the wire in it."""

    @contextlib.contextmanager
    def stage(self, noun: str, params: Mapping[str, Any]) -> Iterator["Told"]:
        tell({"noun": noun})
        before, begun = crossed(), time.perf_counter()
        yield self
        tell({"noun": noun, "bytes": crossed() - before, "seconds": round(time.perf_counter() - begun, 1)})


def tell(event: Event) -> None:
    """Print an event as a line."""
    print(json.dumps(event), flush=True)


def crossed() -> int:
    """Bytes that crossed the wire, both ways."""
    for line in Path("/proc/self/net/dev").read_text().splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == WIRE:
            return int(counts.split()[0]) + int(counts.split()[8])
    raise OSError(f"no interface {WIRE}")


def inside(folder: Path) -> None:
    """In the head's namespace: make every stage on the cluster at RAY_ADDRESS, and those that train once more, shorter.

    The second run bears a name of its own; what does not train it shares with the first.
    """
    store = Store(Place.of(folder))
    with Counted.open() as compute:
        places = pipeline.run(recipe(2, LONG), store, compute, Told())
        long, compute.fits = workers.measured(compute.fits, places), {}
        pipeline.run(replace(recipe(2, SHORT), name="short"), store, compute, NullTracker(), "model")
    for noun in workers.STAGES:
        figures = workers.of_stage(noun, 2, compute.fits[noun], long[noun])
        tell({"noun": noun} | {key: value for key, value in figures.items() if key != "seconds"})


def compared(found: Path, expected: Path) -> dict[str, Any]:
    """How an artifact's data differ from another's: in no byte, or by how much.

    The difference of decimal numbers is in shares of the largest of them; of other entries, the share that is another.
    """
    names = sorted(path.relative_to(expected) for path in expected.rglob("*") if _holds_data(path))
    there = sorted(path.relative_to(found) for path in found.rglob("*") if _holds_data(path))
    if names != there:
        return {"same_bytes": False, "files": [str(name) for name in sorted(set(names) ^ set(there))]}
    others = [name for name in names if (found / name).read_bytes() != (expected / name).read_bytes()]
    figures: dict[str, Any] = {"same_bytes": not others}
    for name in others:
        for kind, share in differences(found / name, expected / name).items():
            figures[kind] = max(figures.get(kind, 0.0), share)
    return figures


def _holds_data(path: Path) -> bool:
    return path.is_file() and path.name not in (RECORD, CURVE) and not path.name.startswith(".")


def differences(found: Path, expected: Path) -> dict[str, float]:
    """By kind of numbers: how much those of one file differ from those of another; 1 where the shapes are others."""
    figures: dict[str, float] = {}
    ours, theirs = numbers(found), numbers(expected)
    for name in ours.keys() | theirs.keys():
        a, b = ours.get(name), theirs.get(name)
        kind = "decimals" if b is not None and b.dtype.kind == "f" else "entries"
        if a is None or b is None or a.shape != b.shape:
            share = 1.0
        elif kind == "decimals":
            share = _apart(a.astype(float), b.astype(float))
        else:
            share = float(np.mean(a != b)) if a.size else 0.0
        figures[kind] = max(figures.get(kind, 0.0), share)
    return figures


def _apart(a: Float[np.ndarray, "..."], b: Float[np.ndarray, "..."]) -> float:
    """The largest difference, as a share of the largest of `b`; 1 at least where one of two is not finite."""
    others = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    by = np.abs(a[others] - b[others])
    largest = np.abs(b[np.isfinite(b)]).max(initial=1e-30)
    return float(np.where(np.isfinite(by), by / largest, 1.0).max(initial=0.0))


def numbers(path: Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The columns or tensors of a file, by name; of JSON, all decimal numbers and all else."""
    if path.suffix == ".safetensors":
        return dict(load_file(path))
    if path.suffix == ".json":
        values = list(_leaves(json.loads(path.read_text())))
        decimals = np.array([value for value in values if isinstance(value, float)], np.float64)
        others = np.array([str(value) for value in values if not isinstance(value, float)], np.str_)
        return {"decimals": decimals, "others": others}
    table = pq.read_table(path) if path.suffix == ".parquet" else ipc.open_file(path).read_all()
    return {name: _flat(table[name]) for name in table.column_names}


def _leaves(value: Any) -> Iterator[Any]:
    """The names and values in what JSON holds, in order."""
    if isinstance(value, dict):
        for name in sorted(value):
            yield name
            yield from _leaves(value[name])
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    else:
        yield value


def _flat(column: pa.ChunkedArray) -> Shaped[np.ndarray, " _"]:
    """The entries of a column, those of its lists one after another."""
    array = column.combine_chunks()
    while pa.types.is_list(array.type) or pa.types.is_large_list(array.type) or pa.types.is_fixed_size_list(array.type):
        array = array.flatten()
    flat: Shaped[np.ndarray, " _"] = array.to_numpy(zero_copy_only=False)
    return flat


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--inside", type=Path)
    asked = parser.parse_args()
    if asked.inside:
        inside(asked.inside)
    else:
        print(json.dumps(main(), indent=2))
