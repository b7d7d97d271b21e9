"""Cold-start trial: items held out of all training, given semantic ids afterwards, and recommended.

A base run learns from a catalogue without them (`catalog.cold_share`). Its index is then extended by them, from their
texts alone, and the base's recommender decodes over the extended index: on the test samples of the whole catalogue
whose target is one of them. Popularity and related items, fitted without them too, stand beside it; and for other
samples, what it costs that new items are there. S samples, N items, n of them new, k list length.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from unisid import pipeline
from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.metrics import CUTOFFS, HISTORY_RULES
from unisid.artifacts.record import require
from unisid.artifacts.store import Address, Place, Store
from unisid.artifacts.vectors import item_vectors
from unisid.baselines import Baseline, Histories, mask_past, related
from unisid.baselines.popularity import Popularity, count_users
from unisid.compute import Compute, Step
from unisid.config import Json
from unisid.errors import ConfigError, DataError
from unisid.evaluation.figures import intervals, paired
from unisid.evaluation.ranks import Ranks, rank_in_parts
from unisid.evaluation.recommender import Search, TargetRanker
from unisid.log import logger
from unisid.ops.by_user import Users
from unisid.ops.distinct import sorted_unique
from unisid.ops.ranking import metric_values, rank_of_target
from unisid.pipeline import Tracker
from unisid.planning import Recipe
from unisid.progress import Progress
from unisid.report.tables import align
from unisid.serving.recommender import vectors_of
from unisid.stages.metrics import Config
from unisid.versions.extend import extended

LOG = logger(__name__)
AT_ONCE = 256
"""Samples that a baseline scores at once."""
AMONG = ("all items", "new items")
"""Who may be answered: everything, as in use; or the new items alone, without familiar ones above them."""
FILE = "cold-start.json"
OTHERS = 4000
"""Samples of older targets that are ranked, drawn by seed where there are more."""


@dataclass(frozen=True)
class Recipes:
    """The two runs of a cold start."""

    base: Recipe
    """Learns without the items that are held out."""
    whole: Recipe
    """Holds all items; its version extends the base's."""

    @classmethod
    def of(cls, recipe: Recipe, share: float, seed: int) -> "Recipes":
        """Raises ConfigError where nothing would be held out."""
        if not share > 0:
            raise ConfigError(f"cold start: --share {share:g} holds out nothing; must be above 0 and below 1")
        name = f"{recipe.name}-cold-{share:g}-{seed}"
        catalog = replace(recipe.catalog, cold_share=share, cold_seed=seed)
        base = replace(recipe, name=name, catalog=catalog)
        return cls(base, replace(base, version=f"{recipe.version}-extended", catalog=recipe.catalog))


class Unregistered:
    """A tracker that logs runs and registers nothing: an index made for a trial must not be served."""

    uri = ""

    def __init__(self, tracker: Tracker) -> None:
        self.pipeline, self.stage, self.tracker = tracker.pipeline, tracker.stage, tracker

    @property
    def trouble(self) -> str:
        return self.tracker.trouble

    def publish(self, name: str, places: Mapping[str, Place], report: Place) -> None:
        """Log the report; register nothing."""
        self.tracker.publish(name, {}, report)


def cold_start(
    recipe: Recipe,
    share: float,
    seed: int,
    store: Store,
    compute: Compute,
    tracker: Tracker,
) -> Json:
    """Make what is missing of both runs, recommend, write `cold-start.json` beside the report; returns its content."""
    recipes = Recipes.of(recipe, share, seed)
    tracker = Unregistered(tracker)
    base = pipeline.run(recipes.base, store, compute, tracker, "model")
    address = Address.parse(require(base["codes"], "codes").address)
    whole_recipe = extended(recipes.whole, store, address, recipes.whole.version)
    whole = pipeline.run(whole_recipe, store, compute, tracker, "codes")
    places = {"model": base["model"], "codes": whole["codes"], "catalog": whole["catalog"]}
    places |= {noun: whole[noun] for noun in vectors_of(base["model"]) if noun in whole}
    catalog = Catalog.read(whole["catalog"])
    num_new = catalog.num_items - int(catalog.record.figure("extension", "published"))
    rows = targeted(catalog, catalog.num_items - num_new)
    LOG.info(f"{len(rows)} test samples have one of {num_new} new items as target")
    config = recipe.metrics
    first = catalog.num_items - num_new
    columns = [f"{among}/{rule}" for among in AMONG for rule in HISTORY_RULES]
    searches = searches_of(config, catalog.num_items, num_new)
    ranks = _ranked(compute, places, config, searches, rows, columns)
    baselines = {
        kind: ranks_among(fitted, catalog, rows, first) for kind, fitted in fitted_without(base, whole).items()
    }
    found = {
        "recipe": recipe.name,
        "share": share,
        "seed": seed,
        "samples": len(rows),
        "items": catalog.num_items,
        "new_items": num_new,
        "indexes": {"base": str(address), "extended": require(whole["codes"], "codes").address},
        "recall": {among: described(ranks, catalog, rows, among, num_new, config) for among in AMONG},
        "baselines": {
            kind: {among: described(found, catalog, rows, among, num_new, config) for among in AMONG}
            for kind, found in baselines.items()
        },
        "others": _others(compute, places, catalog, first, config),
    }
    folder = pipeline.report_place(whole_recipe, store)
    folder.write(FILE, (json.dumps(found, indent=2, sort_keys=True) + "\n").encode())
    LOG.info(f"written to {folder / FILE}")
    return found


def _ranked(
    compute: Compute,
    places: Mapping[str, Place],
    config: Config,
    searches: Mapping[str, Search],
    rows: NDArray[np.int64],
    columns: Sequence[str],
) -> Ranks:
    """The ranks of samples' targets, decoded by workers."""
    ranker = functools.partial(TargetRanker, places, searches, config.pool, config.batch_size, rows)
    progress = Progress(None, len(rows), "samples", of="cold start")
    return rank_in_parts(compute, Step(ranker, config.pool), progress, config.rows_per_part, columns)


def _others(
    compute: Compute,
    places: Mapping[str, Place],
    catalog: Catalog,
    first: int,
    config: Config,
) -> Json:
    """History rule -> metric -> its mean over samples of older targets where new items may be answered, where they may
    not, and the difference with its 95% interval."""
    rows = catalog.samples(TEST)
    rows = rows[catalog.item[rows] < first]
    if not len(rows):
        return {}
    rows = np.sort(np.random.default_rng(config.seed).permutation(rows)[:OTHERS])
    old, length = np.arange(catalog.num_items) < first, min(config.beam, first)
    searches = {"with": Search(length), "without": Search(length, old)}
    columns = [f"{name}/{rule}" for name in searches for rule in HISTORY_RULES]
    ranks = _ranked(compute, places, config, searches, rows, columns)
    cutoffs, users = (min(10, length),), Users.of(catalog.user[rows])
    found: Json = {}
    for rule in HISTORY_RULES:
        having, lacking = (metric_values(ranks[f"{name}/{rule}"], cutoffs) for name in searches)
        each = paired(having, lacking, users, cutoffs, config.resamples, config.seed)
        found[rule] = {
            name: {
                "with": float(having[:, m].mean()),
                "without": float(lacking[:, m].mean()),
                "difference": float((having - lacking)[:, m].mean()),
                "low": each[name].low,
                "high": each[name].high,
            }
            for m, name in enumerate(each)
        }
    return found


def targeted(catalog: Catalog, first: int) -> NDArray[np.int64]:
    """The test samples [S] whose target is the item `first` or a later one; raises DataError where there is none."""
    rows = catalog.samples(TEST)
    chosen = rows[catalog.item[rows] >= first]
    if not len(chosen):
        raise DataError(
            f"cold start: none of the {len(rows)} test samples has as target one of the "
            f"{catalog.num_items - first} new items; hold out a larger --share"
        )
    return chosen


def searches_of(config: Config, size: int, num_new: int) -> dict[str, Search]:
    """Set of items that targets are ranked among -> the search that lists them."""
    new = np.arange(size) >= size - num_new
    return {AMONG[0]: Search(min(config.beam, size)), AMONG[1]: Search(min(config.beam, num_new), new)}


def described(
    ranks: Ranks, catalog: Catalog, rows: NDArray[np.int64], among: str, num_new: int, config: Config
) -> Json:
    """History rule -> K -> recall with its 95% interval, and what chance gives. One target a sample: recall is HR."""
    size = num_new if among == AMONG[1] else catalog.num_items
    cutoffs = tuple(k for k in config.cutoffs or CUTOFFS if k <= min(size, config.beam))
    found, users = {}, Users.of(catalog.user[rows])
    for rule in HISTORY_RULES:
        values = metric_values(ranks[f"{among}/{rule}"], cutoffs)
        by_name = intervals(values, users, cutoffs, config.resamples, config.seed)
        luck = chance(catalog, rows, catalog.num_items - size, cutoffs, rule == "excluded")
        found[rule] = {f"recall@{k}": asdict(by_name[f"HR@{k}"]) | {"chance": luck[k]} for k in cutoffs}
    return found


def fitted_without(base: Mapping[str, Place], whole: Mapping[str, Place]) -> dict[str, Baseline]:
    """Baselines that never saw the new items, over all items."""
    catalog, without = Catalog.read(whole["catalog"]), Catalog.read(base["catalog"])
    config = related.Config()
    vectors = [item_vectors(places, config.memory.alike) for places in (base, whole)]
    alone = config.fitted(without, vectors[0])
    return {
        "popularity": Popularity(count_users(without)).over(catalog.num_items),
        "related": alone.over(catalog, vectors[1]),
    }


def ranks_among(baseline: Baseline, catalog: Catalog, rows: NDArray[np.int64], first: int) -> Ranks:
    """A baseline's ranks of the samples' targets, by "AMONG/RULE"."""
    found: dict[str, list[NDArray[np.float64]]] = {}
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        scores = baseline.scores(Histories.of(catalog.history(some), catalog.user[some]))
        targets = torch.from_numpy(catalog.item[some].astype(np.int64))
        for among in AMONG:
            may = scores.clone()
            may[:, : first if among == AMONG[1] else 0] = -torch.inf
            for rule in HISTORY_RULES:
                left = mask_past(may, Histories.of(catalog.past(some))) if rule == "excluded" else may
                ranks = rank_of_target(left, targets).numpy().astype(np.float64)
                found.setdefault(f"{among}/{rule}", []).append(ranks)
    return {column: np.concatenate(parts) for column, parts in found.items()}


def chance(
    catalog: Catalog, rows: NDArray[np.int64], first: int, cutoffs: tuple[int, ...], exclude: bool
) -> dict[int, float]:
    """K -> the mean probability that K items drawn at random, from `first` on, hold the target.

    With `exclude`, items that the user took before are not drawn; a target among them is never found.
    """
    size = np.full(len(rows), catalog.num_items - first, np.float64)
    possible = np.ones(len(rows), bool)
    if exclude:
        past = Histories.of(catalog.past(rows))
        keys = sorted_unique(np.asarray(past.rows, np.int64) * catalog.num_items + past.items)
        row, item = keys // catalog.num_items, keys % catalog.num_items
        size -= np.bincount(row[item >= first], minlength=len(rows))
        possible[row[item == catalog.item[rows][row]]] = False
    return {k: float((possible * np.minimum(1.0, k / np.maximum(size, 1))).mean()) for k in cutoffs}


def table(found: Json) -> str:
    """The figures for a terminal."""
    held = f"{found['new_items']} of {found['items']} items held out (share {found['share']:g}, seed {found['seed']})"
    lines = [f"cold start of {found['recipe']}: {held}, {found['samples']} test samples have one of them as target"]
    for among, rules in found["recall"].items():
        names = list(rules["excluded"])
        rows = [[f"among {among}", *names]]
        for rule, figures in rules.items():
            rows.append([f"  history {rule}", *(f"{figures[n]['mean']:.4f}" for n in names)])
            rows.append(["    95% from", *(f"{figures[n]['low']:.4f}" for n in names)])
            rows.append(["    95% to", *(f"{figures[n]['high']:.4f}" for n in names)])
            rows.append(["    chance", *(f"{figures[n]['chance']:.4f}" for n in names)])
            for kind, others in found["baselines"].items():
                rows.append([f"    {kind}", *(f"{others[among][rule][n]['mean']:.4f}" for n in names)])
        lines.append(align(rows, right=True))
    for rule, metrics in found["others"].items():
        parts = [
            f"{name} {each['with']:.4f} ({each['difference']:+.4f}, {each['low']:+.4f} to {each['high']:+.4f})"
            for name, each in metrics.items()
        ]
        lines.append(f"samples of older items, history {rule}, against the same without new items: {'; '.join(parts)}")
    return "\n".join(lines)
