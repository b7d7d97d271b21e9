"""Runs one trial in a process of its own: its recipe, up to its last artifact."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from unisid import pipeline
from unisid.artifacts.record import Record
from unisid.artifacts.store import Place, Store
from unisid.compute import Metrics
from unisid.errors import UnisidError
from unisid.evaluation import measures
from unisid.log import silent
from unisid.making import StageLog
from unisid.planning import Recipe
from unisid.runtime.local import LocalCompute
from unisid.runtime.trials import Reporter


@dataclass(frozen=True)
class Order:
    """What a trial's process is sent."""

    recipe: Recipe
    until: str
    store: str
    watch: str | None
    """The measure that it reports while it runs."""


def perform(order: Order, report: Reporter) -> Mapping[str, Any]:
    """Make what a trial lacks; returns {"error": text} where a user must put something right, and no retry helps."""
    store = Store(Place.of(order.store))
    watcher = MetricWatcher(store, order.watch, report)
    try:
        watcher.look(order)
        with silent():
            pipeline.run(order.recipe, store, LocalCompute(), watcher, order.until)
    except UnisidError as error:
        return {"error": str(error)}
    return {}


class MetricWatcher(pipeline.NullTracker):
    """A tracker that reports the watched measure, and nothing else."""

    def __init__(self, store: Store, watch: str | None, report: Reporter) -> None:
        self.store, self.watch, self.report = store, watch, report

    def look(self, order: Order) -> None:
        """Report what is complete already, be it from before or made for several trials."""
        if self.watch is None:
            return
        for entry in pipeline.plan(order.recipe, self.store, order.until):
            if entry.noun == measures.MEASURES[self.watch].noun and entry.state in ("complete", "shared"):
                self.report_all(self.store.place(entry.address))

    def report_all(self, place: Place) -> None:
        """Report every value of a complete artifact."""
        for epoch, value in measures.of_making(self.store, place, str(self.watch)):
            self.report({"time": epoch, "value": value})

    @contextlib.contextmanager
    def stage(self, noun: str, params: Mapping[str, Any]) -> Iterator[StageLog]:
        watched = self.watch is not None and measures.MEASURES[self.watch].noun == noun
        yield WatchedStage(self) if watched else self


class WatchedStage:
    """Log of the watched stage."""

    def __init__(self, watcher: MetricWatcher) -> None:
        self.watcher, self.silent = watcher, True

    def metrics(self, values: Metrics) -> None:
        """One point of the measure's curve, where it has one: its time is the epoch."""
        value = measures.MEASURES[str(self.watcher.watch)].of_epoch(values)
        if value is not None:
            self.silent = False
            self.watcher.report({"time": int(values["epoch"]), "value": value})

    def finish(self, record: Record, place: Place) -> None:
        """Without a curve, or of a stage that had nothing to learn, it is known now."""
        if self.silent:
            self.watcher.report_all(place)
