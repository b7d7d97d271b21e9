"""Metrics: the recommender and its baselines rank every test target among all items, under one evaluator.

Two history rules stand side by side: "allowed" ranks every item, "excluded" those that the user has not taken before
the target, however long ago. The model lists its best `beam` items under each; a target that is not in the list has
no rank. B batch, k list length, S samples, M metrics.
"""

import dataclasses
import functools
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.metrics import CUTOFFS, HISTORY_RULES, write_metrics, write_ranks
from unisid.artifacts.model import Model
from unisid.artifacts.sequences import Sequences
from unisid.artifacts.store import Place
from unisid.baselines import BaselineConfig, Histories, rank_targets
from unisid.compute import Job, Pool, Step
from unisid.config import Json, plug_in, runtime
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.ops.ranking import bootstrap_means, interval, metric_names, metric_values, paired_test, rank_in_list
from unisid.recommend import Recommender

Ranks = dict[str, NDArray[np.float64]]
"""History rule -> the targets' ranks [S], NaN where not ranked."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is measured, and against what."""

    method: str = "tiger"
    """The recommender's name in tables and plots, such as uqf-tiger."""
    cutoffs: tuple[int, ...] = ()
    """The K of HR@K and NDCG@K, at most the number of items; empty: 1, 3, 5, 10, 20, 50, as far as they fit."""
    beam: int = 50
    """Items to list a sample under each history rule; at least the largest cut-off."""
    baselines: tuple[str, ...] = ("popularity", "itemknn")
    """Kinds in `baselines` to rank beside the model."""
    resamples: int = 2000
    """Bootstrap resamples for the 95% intervals."""
    seed: int = 42
    """Of the bootstrap."""
    batch_size: int = runtime(64)
    """Samples decoded at once."""
    rows_per_part: int = runtime(1024)
    """Test samples handed to a worker at a time."""
    pool: Pool = runtime(Pool())
    """Workers that decode."""

    def __post_init__(self) -> None:
        if min(self.beam, self.resamples, self.batch_size, self.rows_per_part) < 1:
            raise ConfigError(f"metrics: beam {self.beam}, resamples {self.resamples}, batch_size {self.batch_size}, "
                              f"rows_per_part {self.rows_per_part}: must all be positive")  # fmt: skip
        if min(self.cutoffs, default=1) < 1:
            raise ConfigError(f"metrics.cutoffs: {self.cutoffs}; must be positive")
        if max(self.cutoffs, default=1) > self.beam:
            raise ConfigError(f"metrics.beam: {self.beam} is smaller than the largest cut-off {max(self.cutoffs)}; "
                              "a list of so few items cannot tell; must be at least that")  # fmt: skip
        for kind in self.baselines:
            plug_in("baselines", kind)
            if f"{self.method}-".startswith(f"{kind}-"):
                raise ConfigError(
                    f"metrics.method: '{self.method}' reads like the baseline '{kind}'; name it otherwise"
                )


def inputs(config: Config) -> tuple[str, ...]:
    """The nouns that it reads; one that the recipe leaves out is absent."""
    return ("catalog", "codes", "sequences", "model")


def sources(config: Config) -> dict[str, Json]:
    """Nothing but artifacts goes in."""
    return {}


def make(job: Job) -> Json:
    """Rank, summarise, compare; returns the headline figures."""
    config: Config = job.config
    catalog, codes = Catalog.read(job.inputs["catalog"]), Codes.read(job.inputs["codes"])
    Model.read(job.inputs["model"], codes)
    cutoffs = usable_cutoffs(config, catalog.num_items)
    rows = sample_rows(catalog, job.inputs["sequences"])
    ranks = {config.method: rank_model(job, len(rows), catalog.num_items)}
    chosen: dict[str, dict[str, float]] = {}
    for kind in config.baselines:
        ranks[kind], chosen[kind] = rank_baseline(kind, catalog, rows)
        job.say(f"{kind}: ranked {len(rows)} samples{_spell(chosen[kind])}")
    for method, by_rule in ranks.items():
        columns = {rule: pa.array(by_rule[rule], from_pandas=True) for rule in HISTORY_RULES}
        table = pa.table({"user": catalog.user[rows], "target": catalog.item[rows], **columns})
        write_ranks(job.out, method, table)
    results = {method: summarise(by_rule, cutoffs, config) for method, by_rule in ranks.items()}
    comparisons = {kind: compare(ranks[config.method], ranks[kind], cutoffs, config) for kind in config.baselines}
    write_metrics(job.out, results, comparisons)
    headline = _headline(config, cutoffs, results, comparisons)
    return {
        "samples": len(rows),
        "cutoffs": list(cutoffs),
        "targets_taken_before": _taken_before(catalog, rows),
        "targets_listed": int(np.isfinite(ranks[config.method]["allowed"]).sum()),
        "chosen": chosen,
    } | headline


def sample_rows(catalog: Catalog, sequences: Place) -> NDArray[np.int64]:
    """The interactions that are test targets, in the order in which the sequences store them.

    Raises:
        DataError: there are none.
        ArtifactError: the sequences are not this catalog's.
    """
    rows, stored = catalog.samples(TEST), Sequences.read(sequences).table("test").select(["user", "target"])
    if not len(rows):
        raise DataError(f"{sequences}: has no test samples; give the catalog a split that leaves some")
    same_users = np.array_equal(stored["user"], catalog.user[rows])
    if not (same_users and np.array_equal(stored["target"], catalog.item[rows])):
        raise ArtifactError(f"{sequences}: its {stored.num_rows} test samples are not the {len(rows)} of the catalog "
                            f"{catalog.place}; both must come from one recipe")  # fmt: skip
    return rows


def usable_cutoffs(config: Config, num_items: int) -> tuple[int, ...]:
    """The cut-offs asked for, or the standard ones that fit the catalogue and the beam."""
    if max(config.cutoffs, default=0) > num_items:
        raise ConfigError(f"metrics.cutoffs: {max(config.cutoffs)} is more than the catalogue's {num_items} items; "
                          f"must be at most {num_items}")  # fmt: skip
    return tuple(sorted(set(config.cutoffs))) or tuple(k for k in CUTOFFS if k <= min(num_items, config.beam))


def rank_model(job: Job, num_samples: int, num_items: int) -> Ranks:
    """The recommender's ranks of all samples, decoded by the workers of the pool."""
    config: Config = job.config
    parts = [
        {"start": start, "stop": min(start + config.rows_per_part, num_samples)}
        for start in range(0, num_samples, config.rows_per_part)
    ]
    step = Step(functools.partial(ModelRanker, dict(job.inputs), config, min(config.beam, num_items)), config.pool)
    ranks = {rule: np.full(num_samples, np.nan) for rule in HISTORY_RULES}
    done, begun = 0, time.monotonic()
    for table in job.compute.map(parts, step):
        rows = table["row"].to_numpy()
        for rule in HISTORY_RULES:
            ranks[rule][rows] = table[rule].to_numpy()
        done += len(rows)
        job.say(f"{config.method}: ranked {done} of {num_samples} samples, "
                f"{done / (time.monotonic() - begun):.0f} a second")  # fmt: skip
    return ranks


class ModelRanker:
    """A worker's step: a range of test samples -> the ranks of their targets. The model loads once a worker."""

    def __init__(self, inputs: Mapping[str, Place], config: Config, length: int) -> None:
        loaded = Recommender.load(inputs["model"], inputs["codes"], inputs["catalog"], config.pool.device())
        self.recommender = dataclasses.replace(loaded, batch_size=config.batch_size)
        self.catalog = Catalog.read(inputs["catalog"])
        self.samples = self.catalog.samples(TEST)
        self.length = length

    def __call__(self, part: pa.Table) -> pa.Table:
        start, stop = part["start"][0].as_py(), part["stop"][0].as_py()
        rows = self.samples[start:stop]
        past, lengths = self.catalog.past(rows)
        histories = np.split(past, np.cumsum(lengths)[:-1])  # the recommender reads the end of each
        targets = torch.from_numpy(self.catalog.item[rows].astype(np.int64))
        ranks = {rule: self._ranks(histories, targets, rule == "excluded") for rule in HISTORY_RULES}
        return pa.table({"row": np.arange(start, stop), **ranks})

    def _ranks(self, histories: list[NDArray[Any]], targets: torch.Tensor, exclude: bool) -> NDArray[np.float64]:
        found = self.recommender.rank(histories, self.length, exclude_history=exclude)
        items, scores = (torch.from_numpy(array) for array in found)
        return rank_in_list(items, scores, targets, items >= 0).numpy()


def rank_baseline(kind: str, catalog: Catalog, rows: NDArray[np.int64]) -> tuple[Ranks, dict[str, float]]:
    """A baseline's ranks of the samples, and the hyper-parameters that validation chose."""
    settings: BaselineConfig = plug_in("baselines", kind)()
    baseline = settings.build(catalog)
    excluded, allowed = (np.concatenate(part) for part in zip(*rank_targets(baseline, catalog, rows), strict=True))
    return {"excluded": excluded, "allowed": allowed}, baseline.chosen


def summarise(ranks: Ranks, cutoffs: tuple[int, ...], config: Config) -> Json:
    """History rule -> metric -> its mean and 95% bootstrap interval."""
    summary = {}
    for rule in HISTORY_RULES:
        values = metric_values(ranks[rule], cutoffs)
        low, high = interval(bootstrap_means(values, config.resamples, config.seed))
        columns = zip(metric_names(cutoffs), values.mean(0), low, high, strict=True)
        summary[rule] = {name: {"mean": float(m), "low": float(a), "high": float(b)} for name, m, a, b in columns}
    return summary


def compare(model: Ranks, baseline: Ranks, cutoffs: tuple[int, ...], config: Config) -> Json:
    """History rule -> metric -> the model's paired advantage: mean difference, interval, one-sided p, Cohen's d.

    "thesis, over cut-offs" holds the UQF thesis's form (6.1.1) beside it, which pairs the means at the cut-offs.
    """
    found: Json = {}
    for rule in HISTORY_RULES:
        ours, theirs = (metric_values(ranks[rule], cutoffs) for ranks in (model, baseline))
        low, high = interval(bootstrap_means(ours - theirs, config.resamples, config.seed))
        found[rule] = {
            name: asdict(paired_test(ours[:, m], theirs[:, m])) | {"low": float(low[m]), "high": float(high[m])}
            for m, name in enumerate(metric_names(cutoffs))
        }
        halves = zip(("HR", "NDCG"), np.split(ours.mean(0), 2), np.split(theirs.mean(0), 2), strict=True)
        found[rule]["thesis, over cut-offs"] = {name: asdict(paired_test(a, b)) for name, a, b in halves}
    return found


def _taken_before(catalog: Catalog, rows: NDArray[np.int64]) -> int:
    """How many targets their user took before: misses under "excluded"."""
    past = Histories.of(catalog.past(rows))
    return len(np.unique(past.rows[past.items == catalog.item[rows][past.rows]]))


def _headline(config: Config, cutoffs: tuple[int, ...], results: Json, comparisons: Json) -> Json:
    top = 10 if 10 in cutoffs else cutoffs[-1]
    headline = [f"HR@{top}", f"NDCG@{top}"]
    return {
        "means": {m: {r: {h: results[m][r][h]["mean"] for h in headline} for r in HISTORY_RULES} for m in results},
        "advantage": {b: {r: {h: comparisons[b][r][h] for h in headline} for r in HISTORY_RULES} for b in comparisons},
    }


def _spell(chosen: dict[str, float]) -> str:
    return "".join(f", {name} {value:.4g}" for name, value in chosen.items())
