"""Fits and ranks baselines that the training loop does not train: in one worker, not in the driver."""

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
from unisid.evaluation.ranks import Ranked, rank_baseline, spell
from unisid.log import logger
from unisid.progress import Progress

LOG = logger(__name__)


@dataclass(frozen=True)
class Task:
    """The worker's instructions."""

    baselines: tuple[BaselineConfig, ...]
    """One of a kind."""
    inputs: Mapping[str, Place]
    seed: int
    test_samples: int = 0
    """How many test samples are ranked at most, as `Catalog.samples` draws them; 0 for all."""
    length: int = 10
    """How many items are listed for each."""
    out: Place | None = None
    """Where to write what was fitted, if anywhere."""


@dataclass(frozen=True)
class Fitted:
    """What a fitted baseline chose, and how it ranks."""

    chosen: dict[str, float]
    """The hyper-parameters that validation chose."""
    ranked: Ranked
    """The test samples, in the catalog's order."""


def fit(job: Job[Any], task: Task, pool: Pool) -> dict[str, Fitted]:
    """Fit baselines on the training rows, by one worker of the pool, and rank the test samples; by kind."""
    if not task.baselines:
        return {}
    alone = replace(pool, workers=min(1, pool.workers))
    name = "-".join((job.name, *(each.kind for each in task.baselines)))
    found: dict[str, Fitted] = job.compute.fit(
        fit_and_rank, task, name=name, pool=alone, work=job.work, report=job.report
    )
    for kind, fitted in found.items():
        LOG.info(f"{kind}: ranked{spell(fitted.chosen)}")
    return found


def fit_and_rank(worker: Worker, task: Task) -> dict[str, Fitted]:
    """Run on the worker: fit every baseline and rank the test samples; by method."""
    return {config.kind: _fit_and_rank_one(worker, task, config) for config in task.baselines}


def _fit_and_rank_one(worker: Worker, task: Task, config: BaselineConfig) -> Fitted:
    """By itself: one fitted baseline lies in memory at a time."""
    catalog = Catalog.read(task.inputs["catalog"])
    rows = catalog.samples(TEST, task.test_samples)
    torch.manual_seed(task.seed)
    baseline = config.build_from(task.inputs)
    if task.out is not None:
        write_fitted(task.out, config, baseline)
    progress = Progress(worker.progress, len(rows), "samples", of=config.kind, lines=False)
    return Fitted(baseline.chosen, rank_baseline(baseline, catalog, rows, task.length, progress))


def write_fitted(out: Place, config: BaselineConfig, baseline: Baseline) -> None:
    """Write a fitted baseline and, where it is a module, its weights."""
    weights = baseline.state_dict() if isinstance(baseline, nn.Module) else None
    write_baseline(out, to_record(config), baseline.chosen, weights)
