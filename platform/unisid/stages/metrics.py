"""Metrics: the recommender and its baselines rank test targets among all items, under one evaluator.

Two history rules stand side by side: "allowed" ranks every item, "excluded" those that the user has not taken before
the target, however long ago. The model lists its best `beam` items under each; a target that is not in the list has
no rank. B batch, k list length, S samples, M metrics.
"""

import functools
from dataclasses import asdict, dataclass, field
from typing import Annotated

import numpy as np
from jaxtyping import Int

from unisid.artifacts.baseline import Baseline
from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.metrics import CUTOFFS, HISTORY_RULES, write_groups, write_listed, write_metrics
from unisid.artifacts.model import Model
from unisid.artifacts.sequences import Sequences
from unisid.baselines import Histories
from unisid.bounds import Count, CountOrNone, Name, Range, Seed, Settings
from unisid.compute import Job, Pool, Step
from unisid.config import Json, identity_where, plug_in, runtime
from unisid.decoding.beam import MOST_BEAMS
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.evaluation import fitting
from unisid.evaluation.comprehension import comprehension
from unisid.evaluation.figures import over_cutoffs, paired
from unisid.evaluation.fitting import Task
from unisid.evaluation.groups import all_groups, described, groups_of
from unisid.evaluation.ranks import (
    Lists,
    Ranked,
    Ranks,
    as_lists,
    check_cutoffs,
    headline,
    main_cutoff,
    means,
    rank_in_parts,
    summarise,
    usable_cutoffs,
    write_method,
)
from unisid.evaluation.recommender import Search, TargetRanker
from unisid.log import logger
from unisid.ops.by_user import Users
from unisid.ops.distinct import sorted_unique
from unisid.ops.ranking import metric_values
from unisid.progress import Progress
from unisid.stages.catalog.summary import OTHER_RULE, repeated_targets

LOG = logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """What is measured, and against what."""

    method: Name = "tiger"
    """The recommender's name in tables and plots, such as uqf-tiger."""
    cutoffs: tuple[Count, ...] = ()
    """The K of HR@K, NDCG@K and MRR@K, at most the number of items; empty: 1, 3, 5, 10, 20, 50, as far as they fit."""
    beam: Annotated[int, Range(1, MOST_BEAMS)] = 50
    """Items to list a sample under each history rule; at least the largest cut-off."""
    test_samples: CountOrNone = field(default=0, metadata=identity_where(lambda config: config.test_samples > 0))
    """Test samples that are ranked at most, drawn by a fixed seed; 0 for all."""
    baselines: tuple[str, ...] = ("popularity", "itemknn")
    """Kinds in `baselines` to rank beside the model, of those that need no training."""
    resamples: Annotated[int, Range(1, 1_000_000)] = 2000
    """Bootstrap resamples of users for the 95% intervals."""
    seed: Seed = 42
    """Of the bootstrap."""
    comprehension: CountOrNone = field(default=0, metadata=identity_where(lambda config: bool(config.comprehension)))
    """Items of which a language model is asked the semantic id by title and the title by semantic id, with beams of 5;
    0: none."""
    batch_size: Count = runtime(64)
    """Samples decoded at once."""
    rows_per_part: Count = runtime(1024)
    """Test samples handed to a worker at a time."""
    pool: Pool = runtime(Pool())
    """Workers that decode."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_cutoffs(self.cutoffs, "metrics.cutoffs")
        if (largest := max(self.cutoffs or CUTOFFS)) > self.beam:
            least = "the largest cut-off" if self.cutoffs else "the largest of the standard cut-offs,"
            raise ConfigError(
                f"metrics.beam: {self.beam} is smaller than {least} {largest}; a list of so few items "
                "cannot tell; must be at least that, or name smaller ones in metrics.cutoffs"
            )
        if len(set(self.baselines)) < len(self.baselines):
            raise ConfigError(f"metrics.baselines: {', '.join(self.baselines)}; must name each once")
        for kind in self.baselines:
            if plug_in("baselines", kind).trained:
                raise ConfigError(
                    f"metrics.baselines: '{kind}' takes training, which the stage baseline does: give "
                    f"the recipe baseline=baseline.Config(baseline={kind}.Config()), and it stands in "
                    "this table too"
                )
            if f"{self.method}-".startswith(f"{kind}-"):
                raise ConfigError(
                    f"metrics.method: '{self.method}' reads like the baseline '{kind}'; name it otherwise"
                )

    def fits(self, num_items: int) -> None:
        """Raises ConfigError where a catalog of so many items is too small for the cut-offs."""
        usable_cutoffs(self.cutoffs, num_items, "metrics.cutoffs")


def inputs(config: Config) -> tuple[str, ...]:
    """The nouns that it reads; one that the recipe leaves out is absent."""
    read = [noun for kind in config.baselines for noun in plug_in("baselines", kind)().reads]
    return tuple(dict.fromkeys(("catalog", "codes", "sequences", "model", "baseline", *read)))


def sources(config: Config) -> dict[str, Json]:
    """Nothing but artifacts goes in."""
    return {}


def make(job: Job[Config]) -> Json:
    """Rank, summarise, compare; returns the headline figures."""
    config = job.config
    catalog, codes = Catalog.read(job.inputs["catalog"]), Codes.read(job.inputs["codes"])
    Model.read(job.inputs["model"], codes)
    cutoffs = usable_cutoffs(config.cutoffs, catalog.num_items, "metrics.cutoffs")
    if not len(Sequences.read(job.inputs["sequences"]).rows(catalog, TEST)):
        raise DataError(f"{job.inputs['sequences']}: has no test samples; give the catalog a split that leaves some")
    rows = catalog.samples(TEST, config.test_samples)
    top = main_cutoff(cutoffs)
    trained = rank_trained_baseline(job, catalog, rows, top)
    ranked = {config.method: rank_model(job, rows, catalog.num_items, top)}
    simple = tuple(plug_in("baselines", kind)() for kind in config.baselines)
    fitted = fitting.fit(job, Task(simple, dict(job.inputs), config.seed, config.test_samples, top), config.pool)
    chosen = {kind: each.chosen for kind, each in fitted.items()}
    ranked |= {kind: each.ranked for kind, each in fitted.items()} | trained
    ranks = {method: each.ranks for method, each in ranked.items()}
    for method, by_rule in ranks.items():
        write_method(job.out, method, by_rule, catalog, rows)
    users, drawn = Users.of(catalog.user[rows]), (config.resamples, config.seed)
    results = {method: summarise(by_rule, users, cutoffs, *drawn) for method, by_rule in ranks.items()}
    ours = ranks[config.method]
    comparisons = {m: compare(ours, ranks[m], users, cutoffs, config) for m in ranks if m != config.method}
    write_metrics(job.out, results, comparisons)
    names = headline(cutoffs)
    groups = all_groups(ranks, groups_of(catalog, rows), top)
    write_groups(job.out, groups)
    write_listed(job.out, as_lists(ranked[config.method].listed))
    listed = {method: each.listed for method, each in ranked.items() if each.listed.shape[1] == top}
    lists = described(listed, catalog, config.seed)
    taken = _taken_before(catalog, rows)
    if warning := repeated_targets(taken, len(rows), "test", OTHER_RULE):
        LOG.warning(warning)
    return {
        "samples": len(rows),
        "cutoffs": list(cutoffs),
        "targets_taken_before": taken,
        "targets_listed": int(np.isfinite(ours["allowed"]).sum()),
        "chosen": chosen,
        "means": means(results, names),
        "groups": groups.pop(config.method),
        "baseline_groups": groups,
        "lists": lists.pop(config.method),
        "baseline_lists": lists,
        "advantage": _advantage(comparisons, names),
        **_comprehension(job),
    }


def _comprehension(job: Job[Config]) -> Json:
    """How well a language model has memorised its index, where the settings ask for it; else empty."""
    config = job.config
    if not config.comprehension:
        return {}
    places = {noun: job.inputs[noun] for noun in ("model", "codes", "catalog")}
    return {"comprehension": comprehension(job, places, config.pool, config.comprehension, config.seed)}


def rank_model(job: Job[Config], rows: Int[np.ndarray, " S"], num_items: int, length: int) -> Ranked:
    """The recommender's ranks of the samples and its first items [S, length], decoded by the workers of the pool."""
    config = job.config
    searches = {"": Search(min(config.beam, num_items))}
    places = {noun: job.inputs[noun] for noun in ("model", "codes", "catalog")}
    settings = config.pool, config.batch_size, None, length, config.test_samples
    ranker = functools.partial(TargetRanker, places, searches, *settings)
    progress = Progress(job.report, len(rows), "samples", of=config.method)
    lists, step = Lists(len(rows), length), Step(ranker, config.pool)
    ranks = rank_in_parts(job.compute, step, progress, config.rows_per_part, see=lists.see)
    return Ranked(ranks, lists.items)


def rank_trained_baseline(
    job: Job[Config], catalog: Catalog, rows: Int[np.ndarray, " S"], length: int
) -> dict[str, Ranked]:
    """The ranks of the recipe's trained baseline and its first items, of fewer than `length` where it kept no more, by
    its method; nothing where the recipe has none.

    Raises:
        ConfigError: its name is taken.
        ArtifactError: it ranked other samples.
    """
    if "baseline" not in job.inputs:
        return {}
    trained = Baseline.read(job.inputs["baseline"])
    for name in (job.config.method, *job.config.baselines):
        if f"{name}-".startswith(f"{trained.method}-"):
            raise ConfigError(
                f"metrics: '{name}' and the recipe's baseline '{trained.method}' are not distinct; "
                "rename metrics.method or leave it out of metrics.baselines"
            )
    theirs, ranked = catalog.samples(TEST, trained.test_samples), trained.ranks()
    same_users = np.array_equal(ranked["user"], catalog.user[theirs])
    if not (same_users and np.array_equal(ranked["target"], catalog.item[theirs])) or len(rows) > len(theirs):
        raise ArtifactError(
            f"{trained.place}: ranked other samples than the {len(rows)} of the catalog {catalog.place}; "
            "both must come from one recipe"
        )
    where = np.searchsorted(theirs, rows)  # a smaller draw lies within a larger, which the recipe sees to
    ranks = {rule: ranked[rule].to_numpy().astype(np.float64)[where] for rule in HISTORY_RULES}
    listed = trained.listed()
    kept = np.empty((len(rows), 0), np.int32) if listed is None else listed[where, :length].astype(np.int32)
    return {trained.method: Ranked(ranks, kept)}


def compare(model: Ranks, baseline: Ranks, users: Users, cutoffs: tuple[int, ...], config: Config) -> Json:
    """History rule -> metric -> the model's paired advantage: mean difference, interval, one-sided p, Cohen's d.

    "thesis, over cut-offs" holds the UQF thesis's form (6.1.1) beside it, which pairs the means at the cut-offs.
    """
    found: Json = {}
    for rule in HISTORY_RULES:
        ours, theirs = (metric_values(ranks[rule], cutoffs) for ranks in (model, baseline))
        each = paired(ours, theirs, users, cutoffs, config.resamples, config.seed)
        found[rule] = {name: asdict(p.test) | {"low": p.low, "high": p.high} for name, p in each.items()}
        thesis = over_cutoffs(ours.mean(0), theirs.mean(0))
        found[rule]["thesis, over cut-offs"] = {name: asdict(thesis[name]) for name in ("HR", "NDCG")}
    return found


def _taken_before(catalog: Catalog, rows: Int[np.ndarray, " S"]) -> int:
    """How many targets their user took before: misses under "excluded"."""
    past = Histories.of(catalog.past(rows))
    return len(sorted_unique(past.rows[past.items == catalog.item[rows][past.rows]]))


def _advantage(comparisons: Json, names: list[str]) -> Json:
    return {b: {r: {n: comparisons[b][r][n] for n in names} for r in HISTORY_RULES} for b in comparisons}
