"""catalog -> baseline: a method fitted on the training rows and ranked on the test rows as `metrics` ranks the model.

One that learns step by step is trained by the same loop as the recommender; validation NDCG@10 with the user's past
excluded decides which of its weights are kept, and its weights are part of the artifact. S samples.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import pyarrow as pa
import torch

from unisid.artifacts.baseline import DESCRIPTION, WEIGHTS, read_described
from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.metrics import write_listed
from unisid.artifacts.reading import whole
from unisid.artifacts.store import Place
from unisid.artifacts.weights import read_weights, write_json
from unisid.baselines import Baseline, BaselineConfig, sasrec
from unisid.baselines.parts.factors import Factors
from unisid.baselines.parts.learned import LearnedBaseline, LearnedConfig
from unisid.bounds import Count, CountOrNone, Range, Seed, Settings
from unisid.compute import Job, Pool, Step, Task, Worker
from unisid.config import Json, from_record, identity_where, runtime
from unisid.errors import ConfigError, DataError
from unisid.evaluation import fitting
from unisid.evaluation.fitting import write_fitted
from unisid.evaluation.groups import all_groups, described, groups_of
from unisid.evaluation.ranks import (
    Lists,
    Ranked,
    as_lists,
    check_cutoffs,
    headline,
    main_cutoff,
    means,
    rank_baseline,
    rank_in_parts,
    spell,
    summarise,
    usable_cutoffs,
    write_method,
)
from unisid.legend import NDCG
from unisid.log import logger
from unisid.ops.by_user import Users
from unisid.progress import Progress
from unisid.stages.baseline.training import CUTOFF, NextItem
from unisid.stages.catalog.summary import repeated_in
from unisid.training import loop
from unisid.training.loop import Accumulation, Training

LOG = logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """The baseline, how it learns, and what is measured."""

    baseline: BaselineConfig = field(default_factory=sasrec.Config)
    """Any kind in `baselines`."""
    training: Training = field(
        default_factory=lambda: Training(epochs=200, patience=10, learning_rate=1e-3, schedule="constant")
    )
    """How long and how fast it learns; its seed also draws the validation samples, and is the seed of kinds that are
    not trained by the loop."""
    batch_size: Count = 128
    """Windows of training sequences a step, over all workers."""
    valid_samples: CountOrNone = 4000
    """Validation samples that are ranked, drawn by seed; 0 for all."""
    test_samples: CountOrNone = field(default=0, metadata=identity_where(lambda config: config.test_samples > 0))
    """Test samples that are ranked at most, drawn by a fixed seed; 0 for all."""
    cutoffs: tuple[Count, ...] = ()
    """The K of HR@K, NDCG@K and MRR@K, at most the number of items; empty: 1, 3, 5, 10, 20, 50, as far as they fit."""
    resamples: Annotated[int, Range(1, 1_000_000)] = 2000
    """Bootstrap resamples of users for the 95% intervals."""
    seed: Seed = 42
    """Of the bootstrap."""
    rows_per_part: Count = runtime(4096)
    """Test samples handed to a worker at a time."""
    pool: Pool = runtime(Pool())
    """The workers that train, and that rank what was trained; a kind that the loop does not train takes one of them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size < self.pool.workers:
            raise ConfigError(
                f"baseline: batch_size {self.batch_size} for {self.pool.workers} workers; each needs a "
                "window of every step"
            )
        check_cutoffs(self.cutoffs, "baseline.cutoffs")

    def fits(self, num_items: int) -> None:
        """Raises ConfigError where a catalog of so many items is too small for the settings."""
        usable_cutoffs(self.cutoffs, num_items, "baseline.cutoffs")


def inputs(config: Config) -> tuple[str, ...]:
    """The nouns that it reads; one that the recipe leaves out is absent."""
    return config.baseline.reads


def sources(config: Config) -> dict[str, Json]:
    """Nothing but artifacts goes in."""
    return {}


def make(job: Job[Config]) -> Json:
    """Fit, rank the test samples, summarise; returns the headline figures."""
    config = job.config
    catalog, method = Catalog.read(job.inputs["catalog"]), config.baseline.kind
    cutoffs = usable_cutoffs(config.cutoffs, catalog.num_items, "baseline.cutoffs")
    rows, top = catalog.samples(TEST, config.test_samples), main_cutoff(cutoffs)
    if not len(rows):
        raise DataError(f"{catalog.place}: has no test samples; give the catalog a split that leaves some")
    counts: Json = {}
    if isinstance(config.baseline, LearnedConfig):
        task = job.task
        if left := repeated_in(catalog.record.counts, "valid", "the epoch is chosen by these alone"):
            LOG.warning(left)
        job.judged_by(NDCG)
        counts = job.compute.fit(
            train, task, name=f"{job.name}-{method}", pool=config.pool, work=job.work, report=job.report
        )
        step = Step(functools.partial(Ranker, task, top), config.pool)
        lists, progress = Lists(len(rows), top), Progress(job.report, len(rows), "samples", of=method)
        ranked = Ranked(rank_in_parts(job.compute, step, progress, config.rows_per_part, see=lists.see), lists.items)
    else:
        drawn = config.training.seed, config.test_samples, top
        alone = fitting.Task((config.baseline,), dict(job.inputs), *drawn, job.out)
        ranked = fitting.fit(job, alone, config.pool)[method].ranked
    write_method(job.out, method, ranked.ranks, catalog, rows)
    write_listed(job.out, as_lists(ranked.listed))
    groups = all_groups({method: ranked.ranks}, groups_of(catalog, rows), top)[method]
    lists_are = described({method: ranked.listed}, catalog, config.seed)[method]
    summary = _summary(job, ranked, Users.of(catalog.user[rows]), cutoffs)
    return counts | summary | {"groups": groups, "lists": lists_are}


def train(worker: Worker, task: Task[Config]) -> Json:
    """Run on every worker: fit the baseline; the first worker writes the weights."""
    config, catalog = task.config, Catalog.read(task.inputs["catalog"])
    torch.manual_seed(config.training.seed)
    model = config.baseline.build_from(task.inputs)
    assert isinstance(model, LearnedBaseline)
    objective = NextItem(worker, model, catalog, config.batch_size, config.valid_samples, config.training.seed)
    outcome = loop.run(worker, objective, config.training, Accumulation(count=model.count))
    model.chosen = {"epoch": float(outcome.best_epoch), f"valid_NDCG@{CUTOFF}": outcome.best_score}
    if worker.rank == 0:
        write_fitted(task.out, config.baseline, model)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        f"valid_ndcg_{CUTOFF}": outcome.best_score,
        "best_epoch": outcome.best_epoch,
        "epochs": outcome.epochs,
        "precision": outcome.precision,
        "seconds_training": round(outcome.seconds, 1),
    }


def load(place: Place, inputs: Mapping[str, Place]) -> Baseline:
    """The fitted baseline of an artifact, ready to score; one without weights is fitted anew.

    Args:
        inputs: what it was made from, by noun.
    """
    described = read_described(place)
    with whole(place, DESCRIPTION, "the settings of a baseline"):
        config = from_record(BaselineConfig, described["baseline"])  # type: ignore[type-abstract]
    if not place.exists(WEIGHTS):
        return config.build_from(inputs)
    weights = read_weights(place, WEIGHTS)
    learned = config.build_from(inputs) if isinstance(config, LearnedConfig) else None
    with whole(place, WEIGHTS, f"the weights of the baseline that {DESCRIPTION} describes"):
        baseline = learned or Factors(**weights)
        assert isinstance(baseline, LearnedBaseline | Factors)
        baseline.load_state_dict(weights)
    baseline.chosen = described["chosen"]
    return baseline.eval()


class Ranker:
    """A worker's step: a range of test samples -> their ranks and lists. The weights load once a worker."""

    def __init__(self, task: Task[Config], length: int) -> None:
        self.length = length
        self.catalog = Catalog.read(task.inputs["catalog"])
        self.samples = self.catalog.samples(TEST, task.config.test_samples)
        baseline = load(task.out, task.inputs)
        assert isinstance(baseline, LearnedBaseline)
        self.baseline = baseline.to(task.config.pool.device())

    def __call__(self, part: pa.Table) -> pa.Table:
        start, stop = part["start"][0].as_py(), part["stop"][0].as_py()
        ranked = rank_baseline(self.baseline, self.catalog, self.samples[start:stop], self.length)
        return pa.table({"row": np.arange(start, stop), "listed": as_lists(ranked.listed), **ranked.ranks})


def _summary(job: Job[Config], ranked: Ranked, users: Users, cutoffs: tuple[int, ...]) -> Json:
    """Write what the ranks come to; returns it in short."""
    config = job.config
    method, chosen = config.baseline.kind, read_described(job.out)["chosen"]
    results = {method: summarise(ranked.ranks, users, cutoffs, config.resamples, config.seed)}
    write_json(job.out, "metrics.json", results)
    names = headline(cutoffs)
    found = means(results, names)
    figures = ", ".join(
        f"{name} {found[method]['excluded'][name]:.4f} (history allowed: {found[method]['allowed'][name]:.4f})"
        for name in names
    )
    LOG.info(f"{method}: {figures}{spell(chosen)}")
    return {"samples": len(ranked.listed), "cutoffs": list(cutoffs), "chosen": {method: chosen}, "means": found}
