"""Cold-start trial: items held out of all training, given semantic ids afterwards, and recommended.

A base run learns from a catalogue without them (`catalog.cold_share`). Its index is then extended by them, from their
texts alone, and the base's recommender decodes over the extended index: on the test samples of the whole catalogue
whose target is one of them. S samples, N items, n of them new, k list length.
"""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unisid import pipeline
from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.metrics import CUTOFFS, HISTORY_RULES
from unisid.artifacts.record import require
from unisid.artifacts.store import Address, Place, Store
from unisid.baselines import Histories
from unisid.compute import Compute, Step
from unisid.config import Json
from unisid.errors import ConfigError, DataError
from unisid.evaluation.figures import intervals
from unisid.evaluation.ranks import Ranks, rank_in_parts
from unisid.evaluation.recommender import Search, TargetRanker
from unisid.ops.ranking import metric_values
from unisid.pipeline import Recipe, Tracker
from unisid.progress import LineSink, Progress
from unisid.report.tables import align
from unisid.stages.metrics import Config
from unisid.versions.extend import extended

AMONG = ("all items", "new items")
"""Who may be answered: everything, as in use; or the new items alone, whom nothing familiar outshines."""
FILE = "cold-start.json"


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
        """The report alone."""
        self.tracker.publish(name, {}, report)


def cold_start(
    recipe: Recipe,
    share: float,
    seed: int,
    store: Store,
    compute: Compute,
    tracker: Tracker,
    say: Callable[[str], None],
) -> Json:
    """Make what is missing of both runs, recommend, write `cold-start.json` beside the report; returns its content."""
    recipes = Recipes.of(recipe, share, seed)
    tracker = Unregistered(tracker)
    base = pipeline.run(recipes.base, store, compute, tracker, say, "model")
    address = Address.parse(require(base["codes"], "codes").address)
    whole_recipe = extended(recipes.whole, store, address, recipes.whole.version)
    whole = pipeline.run(whole_recipe, store, compute, tracker, say, "codes")
    places = {"model": base["model"], "codes": whole["codes"], "catalog": whole["catalog"]}
    num_new = int(require(whole["catalog"], "catalog").figure("extension", "added"))
    catalog = Catalog.read(whole["catalog"])
    rows = targeted(catalog, catalog.num_items - num_new)
    say(f"{len(rows)} test samples have one of {num_new} new items as target")
    config = recipe.metrics
    step = Step(
        functools.partial(
            TargetRanker, places, searches_of(config, catalog.num_items, num_new), config.pool, config.batch_size, rows
        ),
        config.pool,
    )
    progress = Progress(LineSink(say), len(rows), "samples", of="cold start")
    columns = [f"{among}/{rule}" for among in AMONG for rule in HISTORY_RULES]
    ranks = rank_in_parts(compute, step, progress, config.rows_per_part, columns)
    found = {
        "recipe": recipe.name,
        "share": share,
        "seed": seed,
        "samples": len(rows),
        "items": catalog.num_items,
        "new_items": num_new,
        "indexes": {"base": str(address), "extended": require(whole["codes"], "codes").address},
        "recall": {among: described(ranks, catalog, rows, among, num_new, config) for among in AMONG},
    }
    folder = pipeline.report_place(whole_recipe, store)
    folder.write(FILE, (json.dumps(found, indent=2, sort_keys=True) + "\n").encode())
    say(f"written to {folder / FILE}")
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
    """Among which items the targets are ranked -> what is listed."""
    new = np.arange(size) >= size - num_new
    return {AMONG[0]: Search(min(config.beam, size)), AMONG[1]: Search(min(config.beam, num_new), new)}


def described(
    ranks: Ranks, catalog: Catalog, rows: NDArray[np.int64], among: str, num_new: int, config: Config
) -> Json:
    """History rule -> K -> recall with its 95% interval, and what chance gives. One target a sample: recall is HR."""
    size = num_new if among == AMONG[1] else catalog.num_items
    cutoffs = tuple(k for k in config.cutoffs or CUTOFFS if k <= min(size, config.beam))
    found: Json = {}
    for rule in HISTORY_RULES:
        by_name = intervals(metric_values(ranks[f"{among}/{rule}"], cutoffs), cutoffs, config.resamples, config.seed)
        luck = chance(catalog, rows, catalog.num_items - size, cutoffs, rule == "excluded")
        found[rule] = {f"recall@{k}": asdict(by_name[f"HR@{k}"]) | {"chance": luck[k]} for k in cutoffs}
    return found


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
        keys = np.unique(np.asarray(past.rows, np.int64) * catalog.num_items + past.items)
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
        lines.append(align(rows, right=True))
    return "\n".join(lines)
