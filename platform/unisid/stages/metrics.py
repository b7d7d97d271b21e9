"""Metrics: the recommender and its baselines rank every test target among all items, under one evaluator.

One decode serves both history rules: the model lists its best `beam` items and as many more as the longest history
holds. The list as it is answers "history allowed"; without the sample's own history it answers "excluded", and at
least `beam` items are left, so that dropping afterwards equals excluding within. A target that is not in the list
has no rank. B batch, k list length, S samples, M metrics.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.metrics import CUTOFFS, HISTORY_RULES
from unisid.artifacts.model import Model
from unisid.artifacts.sequences import Sequences
from unisid.artifacts.store import Place
from unisid.artifacts.tables import write_table
from unisid.artifacts.weights import write_json
from unisid.baselines import BaselineConfig, Histories, rank_targets
from unisid.compute import Job, Pool, Step
from unisid.config import Json, plug_in, runtime
from unisid.errors import ConfigError, DataError
from unisid.ops.ranking import bootstrap_means, interval, metric_names, metric_values, paired_test, rank_in_list
from unisid.recommend import Recommender

INPUTS = ("catalog", "codes", "sequences", "model")
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
    """Items to list a sample, at least the largest cut-off; the longest history's length is added to it."""
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


def sources(config: Config) -> dict[str, Json]:
    """Nothing but artifacts goes in."""
    return {}


def make(job: Job) -> Json:
    """Rank, summarise, compare; returns the headline figures."""
    config: Config = job.config
    catalog, codes = Catalog.read(job.inputs["catalog"]), Codes.read(job.inputs["codes"])
    Model.read(job.inputs["model"], codes)
    cutoffs = usable_cutoffs(config, catalog.num_items)
    samples = Sequences.read(job.inputs["sequences"]).table("test").select(["user", "history", "target"])
    if not samples.num_rows:
        raise DataError(f"{job.inputs['sequences']}: has no test samples; give the catalog a split that leaves some")
    ranks = {config.method: rank_model(job, samples, catalog.num_items)}
    chosen: dict[str, dict[str, float]] = {}
    for kind in config.baselines:
        ranks[kind], chosen[kind] = rank_baseline(kind, catalog, samples)
        job.say(f"{kind}: ranked {samples.num_rows} samples{_spell(chosen[kind])}")
    for method, by_rule in ranks.items():
        columns = {rule: pa.array(by_rule[rule], from_pandas=True) for rule in HISTORY_RULES}
        table = pa.table({"user": samples["user"], "target": samples["target"], **columns})
        write_table(job.out, f"ranks-{method}", 0, table)
    results = {method: summarise(by_rule, cutoffs, config) for method, by_rule in ranks.items()}
    comparisons = {kind: compare(ranks[config.method], ranks[kind], cutoffs, config) for kind in config.baselines}
    write_json(job.out, "metrics.json", results)
    write_json(job.out, "comparisons.json", comparisons)
    return _counts(config, cutoffs, samples, ranks, results, comparisons) | {"chosen": chosen}


def usable_cutoffs(config: Config, num_items: int) -> tuple[int, ...]:
    """The cut-offs asked for, or the standard ones that fit the catalogue and the beam."""
    if max(config.cutoffs, default=0) > num_items:
        raise ConfigError(f"metrics.cutoffs: {max(config.cutoffs)} is more than the catalogue's {num_items} items; "
                          f"must be at most {num_items}")  # fmt: skip
    return tuple(sorted(set(config.cutoffs))) or tuple(k for k in CUTOFFS if k <= min(num_items, config.beam))


def rank_model(job: Job, samples: pa.Table, num_items: int) -> Ranks:
    """The recommender's ranks of all samples, decoded by the workers of the pool."""
    config: Config = job.config
    longest = int(pc.max(pc.list_value_length(samples["history"])).as_py())
    parts = [
        {"start": start, "stop": min(start + config.rows_per_part, samples.num_rows)}
        for start in range(0, samples.num_rows, config.rows_per_part)
    ]
    length = min(config.beam + longest, num_items)
    step = Step(functools.partial(ModelRanker, dict(job.inputs), config, length), config.pool)
    ranks = {rule: np.full(samples.num_rows, np.nan) for rule in HISTORY_RULES}
    done, begun = 0, time.monotonic()
    for table in job.compute.map(parts, step):
        rows = table["row"].to_numpy()
        for rule in HISTORY_RULES:
            ranks[rule][rows] = table[rule].to_numpy()
        done += len(rows)
        job.say(f"{config.method}: ranked {done} of {samples.num_rows} samples, "
                f"{done / (time.monotonic() - begun):.0f} a second")  # fmt: skip
    return ranks


class ModelRanker:
    """A worker's step: a range of test samples -> the ranks of their targets. The model loads once a worker."""

    def __init__(self, inputs: Mapping[str, Place], config: Config, length: int) -> None:
        gpu = config.pool.gpus > 0 and torch.cuda.is_available()
        loaded = Recommender.load(
            inputs["model"], inputs["codes"], inputs["catalog"], torch.device("cuda" if gpu else "cpu")
        )
        self.recommender = dataclasses.replace(loaded, batch_size=config.batch_size)
        self.samples = Sequences.read(inputs["sequences"]).table("test").select(["history", "target"])
        self.length = length

    def __call__(self, part: pa.Table) -> pa.Table:
        start, stop = part["start"][0].as_py(), part["stop"][0].as_py()
        samples = self.samples.slice(start, stop - start)
        histories = [np.asarray(history, np.int64) for history in samples["history"].to_pylist()]
        items, scores = self.recommender.rank(histories, self.length, exclude_history=False)
        ranks = ranks_of_lists(items, scores, histories, samples["target"].to_numpy())
        return pa.table({"row": np.arange(start, stop), **ranks})


def ranks_of_lists(items: NDArray[Any], scores: NDArray[Any], histories: list[NDArray[Any]],
                   targets: NDArray[Any]) -> Ranks:  # fmt: skip
    """The targets' ranks in lists [B, k] padded with -1, without each sample's history, and with it."""
    seen = np.full((len(histories), max(1, max(map(len, histories)))), -2, np.int64)
    for row, history in enumerate(histories):
        seen[row, : len(history)] = history
    listed = items >= 0
    fresh = listed & ~(items[:, :, None] == seen[:, None, :]).any(2)
    arrays = (torch.from_numpy(np.asarray(a)) for a in (items, scores, targets.astype(np.int64)))
    rank: Callable[..., torch.Tensor] = functools.partial(rank_in_list, *arrays)
    return {"excluded": rank(torch.from_numpy(fresh)).numpy(), "allowed": rank(torch.from_numpy(listed)).numpy()}


def rank_baseline(kind: str, catalog: Catalog, samples: pa.Table) -> tuple[Ranks, dict[str, float]]:
    """A baseline's ranks of all samples, and the hyper-parameters that validation chose."""
    settings: BaselineConfig = plug_in("baselines", kind)()
    baseline = settings.build(catalog)
    history = samples["history"].combine_chunks()
    lengths = pc.list_value_length(history).to_numpy(zero_copy_only=False).astype(np.int64)
    histories = Histories(history.flatten().to_numpy(zero_copy_only=False).astype(np.int64), lengths)
    batches = rank_targets(baseline, histories, samples["target"].to_numpy().astype(np.int64), catalog.num_items)
    excluded, allowed = (np.concatenate(part) for part in zip(*batches, strict=True))
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


def _counts(config: Config, cutoffs: tuple[int, ...], samples: pa.Table, ranks: dict[str, Ranks], results: Json,
            comparisons: Json) -> Json:  # fmt: skip
    top = 10 if 10 in cutoffs else cutoffs[-1]
    headline = [f"HR@{top}", f"NDCG@{top}"]
    history = samples["history"].combine_chunks()
    within = history.flatten().to_numpy() == samples["target"].to_numpy()[pc.list_parent_indices(history)]
    return {
        "samples": samples.num_rows,
        "cutoffs": list(cutoffs),
        "targets_in_history": len(np.unique(pc.list_parent_indices(history).to_numpy()[within])),
        "targets_listed": int(np.isfinite(ranks[config.method]["allowed"]).sum()),
        "means": {m: {r: {h: results[m][r][h]["mean"] for h in headline} for r in HISTORY_RULES} for m in results},
        "advantage": {b: {r: {h: comparisons[b][r][h] for h in headline} for r in HISTORY_RULES} for b in comparisons},
    }


def _spell(chosen: dict[str, float]) -> str:
    return "".join(f", {name} {value:.4g}" for name, value in chosen.items())
