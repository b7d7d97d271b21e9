"""A simulated week: a recommender that stays, one that is trained on daily, and one trained anew.

python -m benchmarks.week [movielens | beauty] [tiger | items]

The first 80% of the interactions, by time, are the first run's; the rest are seven days of equally many. An item is new
on the day of its first interaction. Every day `unisid update` takes in the day; all three rank the day's newest 20%
over the day's index. Trained anew is the recommender alone, on the same index: published ids stay.

Data: MovieLens-100K (python -m jobs.fetch_movielens), or the files of the recipe `beauty`, which have no times: there a
time is a place in its user's history (`_by_time.timed_by_place`).
"""

import functools
import json
import logging
import sys
import tempfile
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

import unisid
from benchmarks import _by_time
from benchmarks._by_time import HERE, RECOMMENDERS, items_of, parts, raw
from unisid import pipeline
from unisid.api.daily import day_tables
from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.record import require, require_input
from unisid.artifacts.store import Address, Place, Store
from unisid.compute import Step
from unisid.evaluation.ranks import rank_in_parts
from unisid.evaluation.recommender import Search, TargetRanker
from unisid.ops.ranking import metric_values
from unisid.pipeline import NullTracker, Recipe
from unisid.progress import Progress
from unisid.runtime.local import LocalCompute
from unisid.versions.update import Update, day_of

DAYS, BEFORE, NAME = 7, 0.8, "week"
EPOCHS = 2
"""Passes of a daily training."""
ANEW = (1, 4, 7)
"""Days on which the recommender is trained anew."""
LOG = logging.getLogger("benchmarks.week")


def recipe(recommender: str) -> Recipe:
    """The demo over tables, with a recommender of which a week takes minutes."""
    base = _by_time.recipe(NAME, RECOMMENDERS[recommender]())
    return replace(base, metrics=replace(base.metrics, method=recommender))


def ranked(places: dict[str, Place], first_new: int) -> dict[str, float]:
    """NDCG@10 of a recommender for the newest interactions, and the share of items from `first_new` on in its lists."""
    num_items = Catalog.read(places["catalog"]).num_items
    samples = len(Catalog.read(places["catalog"]).samples(TEST))
    lists = np.full((samples, 10), -1, np.int64)

    def see(table: pa.Table) -> None:
        lists[table["row"].to_numpy()] = table["listed"].combine_chunks().flatten().to_numpy().reshape(-1, 10)

    step = Step(functools.partial(TargetRanker, places, {"": Search(min(20, num_items))}, HERE, 64, listed=10), HERE)
    progress = Progress(None, samples, "samples")
    ranks = rank_in_parts(LocalCompute(), step, progress, 512, see=see)["excluded"]
    return {
        "ndcg@10": float(metric_values(ranks, (10,))[:, 1].mean()),
        "new_items_share": float((lists >= first_new).sum() / (lists >= 0).sum()),
    }


def main(data: str = "movielens", recommender: str = "tiger") -> dict[str, Any]:
    """Figures by day."""
    with tempfile.TemporaryDirectory() as folder:
        return Week(Store(Place.of(folder)), data, recommender).figures()


class Week:
    """The week in a store."""

    def __init__(self, store: Store, data: str, recommender: str) -> None:
        self.store, self.recipe = store, recipe(recommender)
        self.items, interactions = raw(data)
        self.before, self.days = parts(interactions, BEFORE, DAYS)

    def figures(self) -> dict[str, Any]:
        """What `main` returns."""
        seen = set(self.before["item_id"].to_pylist())
        begun = time.process_time()
        run = unisid.run(
            self.recipe,
            self.store,
            items=items_of(self.items, seen),
            interactions=self.before,
            until="model",
            compute="local",
        )
        seconds = time.process_time() - begun
        base = Catalog.read(run.places["catalog"]).num_items
        found: dict[str, Any] = {
            "items": base,
            "interactions": self.before.num_rows,
            "first_run_cpu_seconds": round(seconds, 1),
        }
        for number, day in enumerate(self.days, 1):
            new = set(day["item_id"].to_pylist()) - seen
            seen |= new
            found[f"day_{number}"] = self._day(run.places["model"], base, number, items_of(self.items, new), day)
            LOG.info("day %d: %s", number, found[f"day_{number}"])
        return found

    def _day(self, frozen: Place, base: int, number: int, items: pa.Table, interactions: pa.Table) -> dict[str, Any]:
        begun = time.process_time()
        given = {"items": items if items.num_rows else None, "interactions": interactions}
        decided = unisid.update(self.recipe, self.store, **given, daily={"epochs": EPOCHS}, compute="local")
        seconds = time.process_time() - begun
        codes = Codes.read(self.store.place(Address.parse(decided["index"]["address"])))
        places = {noun: require_input(self.store, codes.record, noun) for noun in ("catalog", "fused")}
        fused = require(places["fused"], "fused")
        places |= {noun: require_input(self.store, fused, noun) for noun in ("embeddings", "graph")}
        places["codes"] = codes.place
        catalog = Catalog.read(places["catalog"])
        figures: dict[str, Any] = {
            "new_items": items.num_rows,
            "test_samples": decided["figures"]["samples"],
            "new_items_among_targets": float((catalog.item[catalog.samples(TEST)] >= base).mean()),
            "moved_semantic_ids": decided["catalog"]["moved_semantic_ids"],
            "promoted": decided["passed"],
            "p_worse": decided["figures"]["p_worse"],
            "update_cpu_seconds": round(seconds, 1),
            "frozen": ranked(places | {"model": frozen}, base),
            "continued": ranked(places | {"model": self.store.place(Address.parse(decided["new"]))}, base),
        }
        if number in ANEW:
            begun = time.process_time()
            anew = self._trained_anew(day_tables(self.recipe, self.store, **given), decided)
            figures["trained_anew_cpu_seconds"] = round(time.process_time() - begun, 1)
            figures["trained_anew"] = ranked(places | {"model": anew}, base)
        return figures

    def _trained_anew(self, day: Recipe, decided: dict[str, Any]) -> Place:
        """A recommender of the day's catalog and index, from fresh weights with the first run's settings."""
        codes = Codes.read(self.store.place(Address.parse(decided["base"]["address"])))
        old = self.store.place(Address.parse(decided["old"]))
        whole = day_of(day, self.store, Update(epochs=EPOCHS), old, codes, "").recipe
        anew = replace(whole, version=f"{whole.version}-anew", model=self.recipe.model)
        return pipeline.run(anew, self.store, LocalCompute(), NullTracker(), "model")["model"]


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    print(json.dumps(main(*sys.argv[1:]), indent=2))
