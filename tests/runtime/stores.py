"""Small stores for tests of MLflow: records without contents, and an empty database to copy, which is quick."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.tracking._model_registry import utils as registering
from mlflow.tracking._tracking_service import utils as tracking

from tests.lines import logged
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Place, Store
from unisid.runtime.tracking import Tracker, quiet, tracker
from unisid.runtime.tracking_place import sqlite_uri


def empty_database(folder: Path) -> Path:
    """A database with MLflow's tables and nothing in them."""
    quiet()
    database = folder / "mlflow.db"
    MlflowClient(tracking_uri=sqlite_uri(database)).search_experiments(max_results=1)
    return database


def store_at(folder: Path, database: Path | None = None) -> Store:
    """A store with the records of an index and its report; with a copy of a database if one is given."""
    folder.mkdir(parents=True)
    if database is not None:
        shutil.copy(database, folder / "mlflow.db")
    store = Store(Place.of(folder))
    for noun in ("catalog", "codes"):
        write_record(store.root / noun / "shop" / "1", Record(address=f"{noun}/shop/1", config={}, inputs={}))
    (store.root / "reports").write("report.html", b"<p>all well</p>")
    return store


def told(store: Store, said: list[str] | None = None, name: str = "shop") -> str:
    """Write a run with one stage, the report and the registered index of a store; returns the run's id."""
    with logged(said):
        return _told(tracker(store.root), store, name)


def _told(writing: Tracker, store: Store, name: str) -> str:
    with writing.pipeline(name, {}, {}):
        run = writing.parent
        with writing.stage("codes", {}) as log:
            log.metrics({"loss": 0.5, "step": 1})
        places = {noun: store.root / noun / "shop" / "1" for noun in ("catalog", "codes")}
        writing.publish("shop", places, store.root / "reports")
    return str(run)


def client_of(folder: Path) -> MlflowClient:
    uri = sqlite_uri(folder / "mlflow.db")
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@contextlib.contextmanager
def mlflow_restored() -> Iterator[None]:
    """MLflow's own functions, wherever they are sent inside, go to where they went before."""
    variables = {name: os.environ.get(name) for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")}
    before = tracking._tracking_uri, registering._registry_uri
    try:
        yield
    finally:
        tracking._tracking_uri, registering._registry_uri = before
        for name, value in variables.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


@contextlib.contextmanager
def mlflow_at(uri: str) -> Iterator[None]:
    """MLflow's own functions, which load by `models:/...`, go to this database until the context ends."""
    with mlflow_restored():
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        yield
