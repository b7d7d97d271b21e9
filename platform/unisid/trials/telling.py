"""Experiment trackers: log searches, experiments and their trials."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from unisid.artifacts.curve import Point, read_curve
from unisid.artifacts.store import Place


class ExperimentTracker(Protocol):
    """Logs searches and experiments. `runtime.search_runs` logs to MLflow; `NullExperimentTracker` discards."""

    def search(self, name: str, params: Mapping[str, Any]) -> contextlib.AbstractContextManager[None]: ...

    def trial(
        self,
        name: str,
        params: Mapping[str, Any],
        values: Mapping[str, float],
        tags: Mapping[str, str],
        curve: Sequence[Point],
    ) -> None: ...

    def publish(self, name: str, places: Mapping[str, Place], report: Place) -> None: ...


def validation_curve(place: Place) -> list[Point]:
    """Validation metrics that an artifact's stage reported, step by step."""
    return [point for point in read_curve(place) if point[1].startswith("valid_")]


class NullExperimentTracker:
    """Discards everything."""

    @contextlib.contextmanager
    def search(self, name: str, params: Mapping[str, Any]) -> Iterator[None]:
        yield

    def trial(
        self,
        name: str,
        params: Mapping[str, Any],
        values: Mapping[str, float],
        tags: Mapping[str, str],
        curve: Sequence[Point],
    ) -> None: ...

    def publish(self, name: str, places: Mapping[str, Place], report: Place) -> None: ...
