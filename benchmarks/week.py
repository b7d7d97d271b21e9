"""A simulated week on MovieLens-100K: a recommender that stays, one that is trained on daily, and one trained anew.

python -m benchmarks.week

The first 80% of the ratings, by time, are the first run's; the rest are seven days of equally many. A film is new on
the day of its first rating. Every day `unisid update` takes in the day; all three rank the day's newest 20% over the
day's index. Trained anew is the recommender alone, on the same index: published ids stay. Data: python -m
jobs.fetch_movielens.
"""

import functools
import json
import logging
import tempfile
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

import unisid
from benchmarks import _by_time
from benchmarks._by_time import HERE, films_of, parts, raw
from unisid import pipeline
from unisid.api.daily import day_tables
from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.record import require_input
from unisid.artifacts.store import Address, Place, Store
from unisid.backbones import tiger
from unisid.compute import Step
from unisid.evaluation.ranks import rank_in_parts
from unisid.evaluation.recommender import Search, TargetRanker
from unisid.ops.ranking import metric_values
from unisid.pipeline import NullTracker, Recipe
from unisid.progress import Progress
from unisid.runtime.local import LocalCompute
from unisid.stages import model
from unisid.training.loop import Training
from unisid.versions.update import Update, day_of

DAYS, BEFORE, NAME = 7, 0.8, "week"
EPOCHS = 2
"""Passes of a daily training."""
ANEW = (1, 4, 7)
"""Days on which the recommender is trained anew."""
LOG = logging.getLogger("benchmarks.week")


def recipe() -> Recipe:
    """The demo over tables, with a small TIGER: a week of it takes minutes."""
    small = tiger.Config(
        width=64, num_heads=4, head_width=16, feedforward_width=128, num_encoder_layers=1, num_decoder_layers=1
    )
    recommender = model.Config(
        backbone=small,
        batch_size=128,
        samples_per_epoch=16_000,
        valid_samples=300,
        training=Training(epochs=15, patience=4, learning_rate=2e-3, weight_decay=0.035, warmup_steps=100),
        pool=HERE,
    )
    base = _by_time.recipe(NAME, recommender)
    return replace(base, metrics=replace(base.metrics, method="tiger"))


def ranked(places: dict[str, Place], first_new: int) -> dict[str, float]:
    """NDCG@10 of a recommender for the newest ratings, and the share of items from `first_new` on in its lists."""
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


def main() -> dict[str, Any]:
    """Figures by day."""
    with tempfile.TemporaryDirectory() as folder:
        return week(Store(Place.of(folder)))


def week(store: Store) -> dict[str, Any]:
    """The week in a store."""
    films, ratings = raw()
    before, days = parts(ratings, BEFORE, DAYS)
    seen = set(before["item_id"].to_pylist())
    begun = time.process_time()
    run = unisid.run(recipe(), store, items=films_of(films, seen), interactions=before, until="model", compute="local")
    seconds = time.process_time() - begun
    base = Catalog.read(run.places["catalog"]).num_items
    found: dict[str, Any] = {"items": base, "ratings": before.num_rows, "first_run_cpu_seconds": round(seconds, 1)}
    for number, day in enumerate(days, 1):
        new = set(day["item_id"].to_pylist()) - seen
        seen |= new
        found[f"day_{number}"] = _day(store, run.places["model"], base, number, films_of(films, new), day)
        LOG.info("day %d: %s", number, found[f"day_{number}"])
    return found


def _day(store: Store, frozen: Place, base: int, number: int, films: pa.Table, ratings: pa.Table) -> dict[str, Any]:
    begun = time.process_time()
    given = {"items": films if films.num_rows else None, "interactions": ratings}
    decided = unisid.update(recipe(), store, **given, daily={"epochs": EPOCHS}, compute="local")
    seconds = time.process_time() - begun
    codes = Codes.read(store.place(Address.parse(decided["index"]["address"])))
    places = {noun: require_input(store, codes.record, noun) for noun in ("catalog", "fused")} | {"codes": codes.place}
    catalog = Catalog.read(places["catalog"])
    figures: dict[str, Any] = {
        "new_films": films.num_rows,
        "test_samples": decided["figures"]["samples"],
        "new_items_among_targets": float((catalog.item[catalog.samples(TEST)] >= base).mean()),
        "moved_semantic_ids": decided["catalog"]["moved_semantic_ids"],
        "promoted": decided["passed"],
        "p_worse": decided["figures"]["p_worse"],
        "update_cpu_seconds": round(seconds, 1),
        "frozen": ranked(places | {"model": frozen}, base),
        "continued": ranked(places | {"model": store.place(Address.parse(decided["new"]))}, base),
    }
    if number in ANEW:
        begun = time.process_time()
        anew = _trained_anew(store, day_tables(recipe(), store, **given), decided)
        figures["trained_anew_cpu_seconds"] = round(time.process_time() - begun, 1)
        figures["trained_anew"] = ranked(places | {"model": anew}, base)
    return figures


def _trained_anew(store: Store, day: Recipe, decided: dict[str, Any]) -> Place:
    """A recommender of the day's catalog and index, from fresh weights with the first run's settings."""
    codes = Codes.read(store.place(Address.parse(decided["base"]["address"])))
    whole = day_of(day, store, Update(epochs=EPOCHS), store.place(Address.parse(decided["old"])), codes, "").recipe
    anew = replace(whole, version=f"{whole.version}-anew", model=recipe().model)
    return pipeline.run(anew, store, LocalCompute(), NullTracker(), "model")["model"]


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    print(json.dumps(main(), indent=2))
