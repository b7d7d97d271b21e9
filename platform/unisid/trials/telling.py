"""Who is told of what is made in trials, and of searches and experiments over them."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from unisid.artifacts.curve import Point, read_curve
from unisid.artifacts.store import Place


class Teller(Protocol):
    """Who is told of searches. `runtime.search_runs` tells MLflow; `Nobody` nobody."""

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
    """What the stage that made an artifact reported of its validation, step by step."""
    return [point for point in read_curve(place) if point[1].startswith("valid_")]


class Nobody:
    """Tells nobody."""

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
