"""MLflow: one parent run a pipeline, one child a stage. This process is the only writer.

Everything written here also lies in the artifacts (records, curves, report), so nothing is lost when the server is
away: the pipeline goes on, says so once, and `unisid sync` (`unisid index extend --sync`) logs it to the server later.
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

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from unisid import config as settings
from unisid.artifacts.record import Record
from unisid.artifacts.store import Place
from unisid.compute import Metrics
from unisid.errors import ConfigError
from unisid.log import logger
from unisid.masked import masked
from unisid.printable import printable
from unisid.runtime import registry, tracking_made, tracking_moved
from unisid.runtime.tracking_faults import Deleted, fault, is_trouble, refuse_useless, useless
from unisid.runtime.tracking_place import files_of, sqlite_file, tracking_uri
from unisid.runtime.tracking_runs import PROCESS, Process, close_orphans
from unisid.signals import deferred

LOG = logger(__name__)

T = TypeVar("T")
EXPERIMENT = "unisid"
"""The experiment where MLFLOW_EXPERIMENT_NAME and MLFLOW_EXPERIMENT_ID name no other."""
METRICS_AT_ONCE = 1000
"""MLflow takes no more in one request."""
PATIENCE = 60
"""Seconds to wait for another process that writes to the same SQLite database."""


def tracker(store: Place) -> "Tracker":
    """The tracker that writes a store's runs to MLflow; the database of a store that was moved is set right at once."""
    quiet()
    found = Tracker(tracking_uri(store))
    with contextlib.suppress(SQLAlchemyError, OSError):  # the writer is stopped by it, and reports it
        found.set_right()
    return found


def quiet() -> None:
    """Keep MLflow's telemetry, version and migration messages out of the terminal."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)


@dataclass
class Tracker:
    """Writes pipelines and stages to an MLflow server, or to a local SQLite database."""

    uri: str
    parent: str | None = None
    trouble: str = ""
    """Why MLflow could not be written to; from then on nothing more is tried."""
    _client: MlflowClient | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return f"Tracker({masked(self.uri)!r})"

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
            for line in registry.register(self.client, run, name, places):
                LOG.info(line)

        self._attempt(register)

    @property
    def client(self) -> MlflowClient:
        """The client of this tracker's own server or database, whatever the process's environment says by then.

        Raises:
            ConfigError: the URI is of a kind that MLflow has nothing for, or its database's driver is not installed.
        """
        if self._client is None:
            quiet()
            refuse_useless(self.uri)
            try:
                with self._alone():
                    self._client = self._opened()
            except Exception as error:
                raise useless(error, self.uri) or error from None
        return self._client

    def _opened(self) -> MlflowClient:
        """A client whose database has its tables, its files' places and no runs of dead processes."""
        uri = self.uri
        if (file := sqlite_file(uri)) is not None:
            tracking_made.make(file)
            uri += f"{'&' if '?' in uri else '?'}timeout={PATIENCE}"
        client = MlflowClient(tracking_uri=uri, registry_uri=os.environ.get("MLFLOW_REGISTRY_URI") or uri)
        client.search_experiments(max_results=1)  # the first request brings the tables up to date
        client.search_registered_models(max_results=1)
        self._set_right()
        if closed := close_orphans(client, self.experiment(client)):
            LOG.info(f"closed {closed} run{'s' if closed > 1 else ''} in MLflow whose process had ended")
        return client

    def set_right(self) -> None:
        """Make an SQLite database that is there name its files where they are now."""
        file = sqlite_file(self.uri)
        if file is not None and file.exists():
            with self._alone():
                self._set_right()

    def _set_right(self) -> None:
        if (former := tracking_moved.set_right(self.uri)) is not None:
            LOG.info(f"MLflow's files were at {former}; its database now names {files_of(self.uri)}")

    def _alone(self) -> contextlib.AbstractContextManager[Any]:
        """No other process makes or changes the tables of an SQLite database meanwhile."""
        file = sqlite_file(self.uri)
        if file is None:
            return contextlib.nullcontext()
        file.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(file.with_name(f".{file.name}.lock"), timeout=PATIENCE)

    def experiment(self, client: MlflowClient | None = None) -> str:
        """The id of the experiment that the environment names, else of `unisid`; made on first use."""
        client = client or self.client
        name, number = os.environ.get("MLFLOW_EXPERIMENT_NAME"), os.environ.get("MLFLOW_EXPERIMENT_ID")
        if number and not name:
            found = client.get_experiment(number)
        else:
            found = client.get_experiment_by_name(name or EXPERIMENT) or self._made(client, name or EXPERIMENT)
        if found.lifecycle_stage == "deleted":
            raise Deleted(
                f"its experiment '{found.name}' was deleted; give `mlflow experiments restore --experiment-id "
                f"{found.experiment_id}` (with MLFLOW_TRACKING_URI set), or set MLFLOW_EXPERIMENT_NAME to another"
            )
        return str(found.experiment_id)

    def _made(self, client: MlflowClient, name: str) -> Any:
        folder = files_of(self.uri)
        try:
            client.create_experiment(name, artifact_location=None if folder is None else folder.as_uri())
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was quicker
                raise
        return client.get_experiment_by_name(name)

    def log(self, run: str | None, values: Metrics, step: int) -> None:
        now = int(time.time() * 1000)
        metrics = [Metric(_name(k), float(v), now, step) for k, v in values.items() if k != "step"]
        if run is None:
            return

        def write() -> None:
            for first in range(0, len(metrics), METRICS_AT_ONCE):
                self.client.log_batch(run, metrics=metrics[first : first + METRICS_AT_ONCE])

        self._attempt(write)

    def tag(self, run: str | None, tags: Mapping[str, str]) -> None:
        if run is not None:
            entries = [RunTag(key, _shown(value)) for key, value in tags.items()]
            self._attempt(lambda: self.client.log_batch(run, tags=entries))

    def _start(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> str | None:
        own = {key: _shown(value) for key, value in tags.items()} | {PROCESS: str(Process.own())}

        def start() -> str:
            run = str(self.client.create_run(self.experiment(), run_name=name, tags=own).info.run_id)
            entries = [Param(key, _shown(str(value))[:6000]) for key, value in params.items()]
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
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            if run is not None:
                self._attempt(lambda: self.client.set_terminated(run, status))

    def _attempt(self, call: Callable[[], T]) -> T | None:
        """A tracker in trouble must not cost a stage: say so once and go on without it."""
        if self.trouble:
            return None
        try:
            with deferred() if sqlite_file(self.uri) is not None else contextlib.nullcontext():
                return call()
        except ConfigError:
            raise
        except Exception as error:
            if not is_trouble(error):
                raise
            found = fault(error)
            self.trouble = f"MLflow at {masked(self.uri)}: {found}"
            LOG.warning(
                f"{self.trouble}; nothing is lost: run `unisid sync RECIPE` {found.when} (after `index "
                "extend`: the same words and --sync)"
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
        cost = {"seconds": record.seconds} | figures({"memory": record.memory})
        self.tracker.log(self.run, figures(record.counts) | cost, 0)
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


def _shown(value: str) -> str:
    """A value fit to be shown: without what a browser would obey, without secrets."""
    return masked(printable(value, lines=True))


def _name(key: str) -> str:
    """MLflow allows no '@' or '%' in metric names: HR@10 -> HR_at_10."""
    return key.replace("@", "_at_").replace("%", "percent")
