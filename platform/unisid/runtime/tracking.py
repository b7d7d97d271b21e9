"""MLflow: one parent run a pipeline, one child a stage. This process is the only writer.

Everything written here also lies in the artifacts (records, curves, report), so nothing is lost when the server is
away: the pipeline goes on, says so once, and `unisid sync` (`unisid index extend --sync`) tells the server later.
"""

import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from unisid import config as settings
from unisid.artifacts.record import Record
from unisid.artifacts.store import Place
from unisid.compute import Metrics
from unisid.printable import printable
from unisid.runtime import registry
from unisid.signals import deferred

T = TypeVar("T")
EXPERIMENT = "unisid"
UNREACHABLE = (MlflowException, SQLAlchemyError, requests.RequestException, OSError)


def tracking_uri(store: Place) -> str:
    """MLFLOW_TRACKING_URI, or an SQLite database beside the artifacts (in the working folder for a remote store)."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{_local_folder(store)}/mlflow.db"


def tracker(store: Place, say: Callable[[str], None]) -> "Tracker":
    """Who tells MLflow of a store's runs."""
    quiet()
    return Tracker(tracking_uri(store), Place(f"{_local_folder(store)}/mlflow-artifacts"), say)


def _local_folder(store: Place) -> str:
    return store.uri if store.is_local else str(Path.cwd())


def quiet() -> None:
    """Keep MLflow's telemetry, version and migration messages out of the terminal."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)


@dataclass
class Tracker:
    """Tells an MLflow server, or a local SQLite store, of pipelines and stages."""

    uri: str
    artifacts: Place
    """Where run artifacts go when the store is a local database; a server decides for itself."""
    say: Callable[[str], None]
    parent: str | None = None
    reachable: bool = True
    _client: MlflowClient | None = field(default=None, repr=False)

    @contextlib.contextmanager
    def pipeline(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> Iterator[None]:
        """The parent run, while the pipeline runs."""
        self.parent = self._start(name, params, tags)
        with self._ending(self.parent):
            yield

    @contextlib.contextmanager
    def stage(self, noun: str, params: Mapping[str, Any]) -> Iterator["Log"]:
        """A child run, while one stage runs."""
        parent = {"mlflow.parentRunId": self.parent} if self.parent else {}
        run = self._start(noun, params, {"noun": noun} | parent)
        with self._ending(run):
            yield Log(self, run)

    def publish(self, name: str, places: Mapping[str, Place], report: Place) -> None:
        """Attach the report and its plots to the parent run, and register the index and the recommender."""
        run = self.parent
        if run is None:
            return

        def register() -> None:
            with tempfile.TemporaryDirectory() as folder:  # the report may lie where MLflow cannot read
                for file in report.sizes():
                    (Path(folder) / file).write_bytes(report.read(file))
                self.client.log_artifacts(run, folder, "report")
            for line in registry.register(self.uri, run, name, places):
                self.say(line)

        self._attempt(register)

    @property
    def trouble(self) -> str:
        """Why something was not written down; empty where all of it was."""
        return "" if self.reachable else f"MLflow at {self.uri} cannot be reached"

    @property
    def client(self) -> MlflowClient:
        if self._client is None:
            quiet()
            self._client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        return self._client

    def experiment(self) -> str:
        """The id of the experiment, made on first use."""
        found = self.client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        location = f"file://{self.artifacts.uri}" if self.uri.startswith("sqlite") else None
        return str(self.client.create_experiment(EXPERIMENT, artifact_location=location))

    def log(self, run: str | None, values: Metrics, step: int) -> None:
        now = int(time.time() * 1000)
        metrics = [Metric(_name(k), float(v), now, step) for k, v in values.items() if k != "step"]
        if run is not None and metrics:
            self._attempt(lambda: self.client.log_batch(run, metrics=metrics))

    def tag(self, run: str | None, tags: Mapping[str, str]) -> None:
        if run is not None:
            shown = [RunTag(key, printable(value, lines=True)) for key, value in tags.items()]
            self._attempt(lambda: self.client.log_batch(run, tags=shown))

    def _start(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> str | None:
        shown = {key: printable(value, lines=True) for key, value in tags.items()}

        def start() -> str:
            run = str(self.client.create_run(self.experiment(), run_name=name, tags=shown).info.run_id)
            entries = [Param(key, printable(str(value), lines=True)[:6000]) for key, value in params.items()]
            for first in range(0, len(entries), 100):
                self.client.log_batch(run, params=entries[first : first + 100])
            return run

        return self._attempt(start)

    @contextlib.contextmanager
    def _ending(self, run: str | None) -> Iterator[None]:
        status = "FAILED"
        try:
            yield
            status = "FINISHED"
        finally:
            if run is not None:
                self._attempt(lambda: self.client.set_terminated(run, status))

    def _attempt(self, call: Callable[[], T]) -> T | None:
        """A tracker that cannot be reached must not cost a stage: say so once and go on without it."""
        if self.reachable:
            try:
                with deferred() if self.uri.startswith("sqlite") else contextlib.nullcontext():
                    return call()
            except UNREACHABLE as error:
                self.reachable = False
                reason = str(error).strip().splitlines()[0][:200]
                self.say(
                    f"warning: MLflow at {self.uri} cannot be reached ({reason}); nothing is lost: "
                    "run `unisid sync RECIPE` when it is back (after `index extend`: the same words and --sync)"
                )
        return None


@dataclass(frozen=True)
class Log:
    """One stage's run."""

    tracker: Tracker
    run: str | None

    def metrics(self, values: Metrics) -> None:
        self.tracker.log(self.run, values, int(values.get("step", 0)))

    def finish(self, record: Record, place: Place) -> None:
        self.tracker.log(self.run, figures(record.counts) | {"seconds": record.seconds}, 0)
        lineage = {f"input.{role}": f"{e['address']} {e['fingerprint']}" for role, e in record.inputs.items()}
        self.tracker.tag(self.run, lineage | {"address": record.address, "fingerprint": record.fingerprint})


def figures(counts: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a record by dotted key; those of a list by their place, from 1: quality.entropy.1 is level 1's."""
    found: dict[str, float] = {}
    for key, value in settings.flatten(counts).items():
        named = {f"{key}.{n}": one for n, one in enumerate(value, 1)} if isinstance(value, list) else {key: value}
        numbers = {k: v for k, v in named.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
        found |= {k: float(v) for k, v in numbers.items()}
    return found


def _name(key: str) -> str:
    """MLflow allows no '@' or '%' in metric names: HR@10 -> HR_at_10."""
    return key.replace("@", "_at_").replace("%", "percent")
