"""Items that nobody has seen: held out of all training, given semantic ids afterwards, and recommended.

A base run learns from a catalogue without them (`catalog.cold_share`). Its index is then extended by them, from their
texts alone, and the base's recommender decodes over the extended index: on the test samples of the whole catalogue
whose target is one of them. S samples, N items, n of them new, k list length.
"""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from unisid import pipeline
from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.metrics import CUTOFFS, HISTORY_RULES
from unisid.artifacts.record import require
from unisid.artifacts.store import Address, Place, Store
from unisid.baselines import Histories
from unisid.compute import Compute, Metrics, Step
from unisid.config import Json
from unisid.errors import ConfigError, DataError
from unisid.ops.ranking import bootstrap_means, interval, metric_names, metric_values, rank_in_list
from unisid.pipeline import Recipe, Tracker
from unisid.progress import Listening, Progress
from unisid.report.tables import align
from unisid.serving.recommender import Recommender
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
    """A tracker that is told of runs and registers nothing: nobody is to serve an index that was made for a trial."""

    uri = ""

    def __init__(self, tracker: Tracker) -> None:
        self.pipeline, self.stage, self.tracker = tracker.pipeline, tracker.stage, tracker

    @property
    def trouble(self) -> str:
        return self.tracker.trouble

    def publish(self, name: str, places: Mapping[str, Place], report: Place) -> None:
        """The report alone."""
        self.tracker.publish(name, {}, report)


def cold_start(recipe: Recipe, share: float, seed: int, store: Store, compute: Compute, tracker: Tracker,
               say: Callable[[str], None]) -> Json:  # fmt: skip
    """Make what is missing of both runs, recommend, write `cold-start.json` beside the report; returns its content."""
    recipes = Recipes.of(recipe, share, seed)
    tracker = Unregistered(tracker)
    base = pipeline.run(recipes.base, store, compute, tracker, say, "model")
    address = Address.parse(require(base["codes"], "codes").address)
    whole_recipe = extended(recipes.whole, store, address, recipes.whole.version)
    whole = pipeline.run(whole_recipe, store, compute, tracker, say, "codes")
    places = {"model": base["model"], "codes": whole["codes"], "catalog": whole["catalog"]}
    num_new = require(whole["catalog"], "catalog").counts["extension"]["added"]
    catalog = Catalog.read(whole["catalog"])
    rows = targeted(catalog, catalog.num_items - num_new)
    say(f"{len(rows)} test samples ask for one of {num_new} new items")
    config = recipe.metrics
    step = Step(functools.partial(Ranker, places, config, num_new, rows), config.pool)
    ranks = ranked(compute, step, len(rows), config.rows_per_part, Aloud(say))
    found = {
        "recipe": recipe.name, "share": share, "seed": seed, "samples": len(rows),
        "items": catalog.num_items, "new_items": num_new,
        "indexes": {"base": str(address), "extended": require(whole["codes"], "codes").address},
        "recall": {among: described(ranks[among], catalog, rows, among, num_new, config) for among in AMONG},
    }  # fmt: skip
    folder = pipeline.report_place(whole_recipe, store)
    folder.write(FILE, (json.dumps(found, indent=2, sort_keys=True) + "\n").encode())
    say(f"written to {folder / FILE}")
    return found


def targeted(catalog: Catalog, first: int) -> NDArray[np.int64]:
    """The test samples [S] whose target is the item `first` or a later one; raises DataError where there is none."""
    rows = catalog.samples(TEST)
    chosen = rows[catalog.item[rows] >= first]
    if not len(chosen):
        raise DataError(f"cold start: none of the {len(rows)} test samples asks for one of the "
                        f"{catalog.num_items - first} new items; hold out a larger --share")  # fmt: skip
    return chosen


class Ranker:
    """A worker's step: a range of samples -> the ranks of their targets, among all items and among the new ones."""

    def __init__(self, places: dict[str, Place], config: Config, num_new: int, rows: NDArray[np.int64]) -> None:
        loaded = Recommender.load(places["model"], places["codes"], places["catalog"], config.pool.device())
        self.recommender = replace(loaded, batch_size=config.batch_size)
        self.catalog, self.rows = Catalog.read(places["catalog"]), rows
        size = self.catalog.num_items
        new = np.arange(size) >= size - num_new
        self.searches = {AMONG[0]: (min(config.beam, size), None), AMONG[1]: (min(config.beam, num_new), new)}

    def __call__(self, part: pa.Table) -> pa.Table:
        start, stop = part["start"][0].as_py(), part["stop"][0].as_py()
        rows = self.rows[start:stop]
        past, lengths = self.catalog.past(rows)
        histories = np.split(past, np.cumsum(lengths)[:-1])
        targets = torch.from_numpy(self.catalog.item[rows].astype(np.int64))
        found = {
            f"{among}/{rule}": self._ranks(histories, targets, rule == "excluded", *search)
            for among, search in self.searches.items()
            for rule in HISTORY_RULES
        }
        return pa.table({"row": np.arange(start, stop), **found})

    def _ranks(self, histories: list[NDArray[Any]], targets: torch.Tensor, exclude: bool, length: int,
               allowed: NDArray[np.bool_] | None) -> NDArray[np.float64]:  # fmt: skip
        answer = self.recommender.rank(histories, length, exclude_history=exclude, allowed=allowed)
        items, scores = (torch.from_numpy(array) for array in answer)
        return rank_in_list(items, scores, targets, items >= 0).numpy()


@dataclass(frozen=True)
class Aloud:
    """Hears of progress, and says it: no stage's run is open that figures could go to."""

    say: Callable[[str], None]

    def report(self, values: Metrics) -> None:
        """Figures go nowhere."""


def ranked(compute: Compute, step: Step, size: int, rows_per_part: int,
           listening: Listening) -> dict[str, dict[str, NDArray[np.float64]]]:  # fmt: skip
    """Who may be answered -> history rule -> the targets' ranks [S], NaN where not listed."""
    parts = [{"start": s, "stop": min(s + rows_per_part, size)} for s in range(0, size, rows_per_part)]
    ranks = {among: {rule: np.full(size, np.nan) for rule in HISTORY_RULES} for among in AMONG}
    progress = Progress(listening, size, "samples", of="cold start")
    for table in compute.map(parts, step):
        where = table["row"].to_numpy()
        for among in AMONG:
            for rule in HISTORY_RULES:
                ranks[among][rule][where] = table[f"{among}/{rule}"].to_numpy()
        progress.advance(len(where))
    return ranks


def described(ranks: dict[str, NDArray[np.float64]], catalog: Catalog, rows: NDArray[np.int64], among: str,
              num_new: int, config: Config) -> Json:  # fmt: skip
    """History rule -> K -> recall with its 95% interval, and what chance gives. One target a sample: recall is HR."""
    size = num_new if among == AMONG[1] else catalog.num_items
    cutoffs = tuple(k for k in config.cutoffs or CUTOFFS if k <= min(size, config.beam))
    found: Json = {}
    for rule in HISTORY_RULES:
        values = metric_values(ranks[rule], cutoffs)
        low, high = interval(bootstrap_means(values, config.resamples, config.seed))
        columns = zip(metric_names(cutoffs), values.mean(0), low, high, strict=True)
        by_name = {name: {"mean": float(m), "low": float(a), "high": float(b)} for name, m, a, b in columns}
        luck = chance(catalog, rows, catalog.num_items - size, cutoffs, rule == "excluded")
        found[rule] = {f"recall@{k}": by_name[f"HR@{k}"] | {"chance": luck[k]} for k in cutoffs}
    return found


def chance(catalog: Catalog, rows: NDArray[np.int64], first: int, cutoffs: tuple[int, ...],
           exclude: bool) -> dict[int, float]:  # fmt: skip
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
    lines = [f"cold start of {found['recipe']}: {held}, {found['samples']} test samples ask for one of them"]
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
