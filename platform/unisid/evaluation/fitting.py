"""Fits and ranks a baseline that the training loop does not train: in one worker, not in the driver."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from unisid.artifacts.baseline import write_baseline
from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.store import Place
from unisid.baselines import Baseline, BaselineConfig
from unisid.compute import Job, Pool, Worker
from unisid.config import to_record
from unisid.evaluation.ranks import Ranks, rank_baseline
from unisid.progress import Progress


@dataclass(frozen=True)
class Task:
    """The worker's instructions."""

    baseline: BaselineConfig
    inputs: Mapping[str, Place]
    seed: int
    out: Place | None = None
    """Where to write what was fitted, if anywhere."""


@dataclass(frozen=True)
class Fitted:
    """The hyper-parameters that were chosen, and the fitted baseline where it is not written."""

    chosen: dict[str, float]
    """The hyper-parameters that validation chose."""
    ranks: Ranks
    """Of the test samples, in the catalog's order."""


def fit(job: Job[Any], task: Task, pool: Pool) -> Fitted:
    """Fit a baseline on the training rows, by one worker of the pool, and rank the test samples."""
    alone = replace(pool, workers=min(1, pool.workers))
    name = f"{job.name}-{task.baseline.kind}"
    return job.compute.fit(fit_and_rank, task, name=name, pool=alone, work=job.work, report=job.report)


def fit_and_rank(worker: Worker, task: Task) -> Fitted:
    """What the worker runs."""
    catalog = Catalog.read(task.inputs["catalog"])
    torch.manual_seed(task.seed)
    baseline = task.baseline.build_from(task.inputs)
    if task.out is not None:
        write_fitted(task.out, task.baseline, baseline)
    rows = catalog.samples(TEST)
    progress = Progress(worker.progress, len(rows), "samples", of=task.baseline.kind, lines=False)
    return Fitted(baseline.chosen, rank_baseline(baseline, catalog, rows, progress))


def write_fitted(out: Place, config: BaselineConfig, baseline: Baseline) -> None:
    """Write a fitted baseline and, where it is a module, its weights."""
    weights = baseline.state_dict() if isinstance(baseline, nn.Module) else None
    write_baseline(out, to_record(config), baseline.chosen, weights)
