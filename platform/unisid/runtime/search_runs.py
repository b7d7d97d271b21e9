"""MLflow's view of a search: one run a search, one nested run a trial. The driver is the only writer."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from unisid.artifacts.curve import Point
from unisid.artifacts.store import Place
from unisid.errors import ArtifactError
from unisid.runtime.tracking import Tracker


class SearchRuns:
    """Logs searches to MLflow, through the tracker of a store.

    A search that goes on gets a run of its own, which holds all its trials, those of before too.
    """

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker

    @contextlib.contextmanager
    def search(self, name: str, params: Mapping[str, Any]) -> Iterator[None]:
        """The run that holds the trials' runs, while the search lasts."""
        with self.tracker.pipeline(name, params, {"kind": "search"}):
            yield

    def trial(
        self,
        name: str,
        params: Mapping[str, Any],
        values: Mapping[str, float],
        tags: Mapping[str, str],
        curve: Sequence[Point],
    ) -> None:
        """One trial that is over: what it tried, every measure, and what its last stage reported step by step."""
        parent = {"mlflow.parentRunId": self.tracker.parent} if self.tracker.parent else {}
        own = dataclasses.replace(self.tracker, parent=None)
        with own.pipeline(name, params, {"kind": "trial"} | dict(tags) | parent):
            own.log(own.parent, values, 0)
            steps: dict[int, dict[str, float]] = {}
            for step, key, value in curve:
                steps.setdefault(step, {})[key] = value
            for step, figures in steps.items():
                own.log(own.parent, figures, step)
        self.tracker.trouble = own.trouble

    def publish(self, name: str, places: Mapping[str, Place], report: Place) -> None:
        """Attach a folder to the search's run, and register what the places hold.

        Raises:
            ArtifactError: there is something to register and MLflow is in trouble.
        """
        self.tracker.publish(name, places, report)
        if places and self.tracker.trouble:
            raise ArtifactError(
                f"registry: {name} is not registered, for {self.tracker.trouble}; --resume --register "
                "does it when that is put right"
            )
