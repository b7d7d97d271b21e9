"""A fit on a worker group that already runs, beside a TorchTrainer of its own, and beside no group at all.

python -m benchmarks.worker_group

The work is next to nothing (a sum over workers, ten reports), so what is timed is what a fit costs before and after
its work. All three must give the same number. The fresh trainer is Ray Train as its guide shows it, with the same
polling interval.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import ray.train
import torch
from ray.train.torch import TorchConfig, TorchTrainer

from unisid.artifacts.store import Place
from unisid.compute import Pool, Worker
from unisid.runtime.process_group import Collectives
from unisid.runtime.ray_compute import RayCompute

REPORTS = 10
FRESH, SHARED = 2, 10
"""Fits timed of each."""


def work(worker: Worker, task: int) -> float:
    """The sum over workers of their ranks, and some reports."""
    for step in range(REPORTS):
        worker.report({"step": step})
    return float(worker.all_reduce(torch.tensor([worker.rank + task], dtype=torch.float32)).item())


def plain(config: dict[str, Any]) -> float:
    """The same work as Ray Train's guide writes it."""
    worker = Collectives(Pool(), {})
    for step in range(REPORTS):
        ray.train.report({"step": step})
    return float(worker.all_reduce(torch.tensor([worker.rank + config["task"]], dtype=torch.float32)).item())


def main() -> dict[str, Any]:
    """Seconds a fit of each way, at one and two workers, and their ratios."""
    result: dict[str, Any] = {"reports_a_fit": REPORTS}
    with RayCompute.open(cpus=4) as compute, tempfile.TemporaryDirectory() as folder:
        for workers in (1, 2):
            result[f"workers_{workers}"] = _compare(compute, workers, folder)
    return result


def _compare(compute: RayCompute, workers: int, folder: str) -> dict[str, float]:
    def shared(task: int, pool: Pool) -> float:
        return compute.fit(work, task, name=f"fit-{workers}-{task}", pool=pool, work=Place.of(folder))

    def fresh(task: int) -> float:
        trainer = TorchTrainer(
            plain,
            train_loop_config={"task": task},
            torch_config=TorchConfig(backend="gloo"),
            scaling_config=ray.train.ScalingConfig(num_workers=workers, resources_per_worker={"CPU": 1}),
            run_config=ray.train.RunConfig(name=f"fresh-{workers}-{task}", storage_path=folder),
        )
        return float(trainer.fit().return_value)

    expected = [float(workers * task + workers * (workers - 1) / 2) for task in range(SHARED)]
    alone = _seconds(fresh, expected[:FRESH])
    first = _seconds(lambda task: shared(task, Pool(workers=workers)), expected[:1])
    following = _seconds(lambda task: shared(task, Pool(workers=workers)), expected)
    here = _seconds(lambda task: shared(task, Pool(workers=0)), [float(task) for task in range(SHARED)])
    return {
        "fresh_trainer_seconds": round(alone, 2),
        "first_fit_of_group_seconds": round(first, 2),
        "following_fit_seconds": round(following, 4),
        "inside_the_process_seconds": round(here, 5),
        "ratio_fresh_to_following": round(alone / following, 1),
        "ratio_following_to_inside": round(following / here, 1),
    }


def _seconds(fit: Callable[[int], float], expected: list[float]) -> float:
    """The median time of a fit; every one must give what is expected."""
    taken = []
    for task, value in enumerate(expected):
        begun = time.perf_counter()
        found = fit(task)
        taken.append(time.perf_counter() - begun)
        assert found == value, f"fit {task} gave {found}, not {value}"
    return statistics.median(taken)


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
