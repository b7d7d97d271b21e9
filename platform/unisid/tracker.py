"""Where a run is written down: what a tracker must offer, and one that writes nothing."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from unisid import publication
from unisid.artifacts.record import Record
from unisid.artifacts.store import Place
from unisid.compute import Metrics
from unisid.making import StageLog


class Tracker(publication.Registrar, Protocol):
    """Where runs are written down: `runtime.tracking` writes to MLflow, `NullTracker` nowhere."""

    def pipeline(
        self, name: str, params: Mapping[str, Any], tags: Mapping[str, str]
    ) -> contextlib.AbstractContextManager[None]: ...

    def stage(self, noun: str, params: Mapping[str, Any]) -> contextlib.AbstractContextManager[StageLog]: ...


class NullTracker:
    """A tracker that writes nothing."""

    uri = trouble = ""

    @contextlib.contextmanager
    def pipeline(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> Iterator[None]:
        yield

    @contextlib.contextmanager
    def stage(self, noun: str, params: Mapping[str, Any]) -> Iterator[StageLog]:
        yield self

    def publish(self, name: str, places: Mapping[str, Place], report: Place) -> None: ...

    def metrics(self, values: Metrics) -> None: ...

    def finish(self, record: Record, place: Place) -> None: ...
