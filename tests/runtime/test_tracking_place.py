"""Where MLflow's database and files lie: in the store, whatever its name, however many there are, and after a move."""

import os
import shlex
import shutil
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from tests.lines import logged
from tests.runtime import stores
from unisid.artifacts.store import Place
from unisid.errors import ConfigError
from unisid.runtime.tracking import tracker
from unisid.runtime.tracking_place import files_of, how_to_look, sqlite_file, sqlite_uri, tracking_uri

NAMES = ("my shop", "a#b", "a%20b", "what?", "größe", "a&b=c", "it's", "$HOME", "50%", "a;b", "x+y")


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return stores.empty_database(tmp_path_factory.mktemp("database"))


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", NAMES)
def test_everything_lies_inside_a_store_of_any_name(tmp_path, database, name):
    store, said = stores.store_at(tmp_path / name, database), []
    run = stores.told(store, said)
    assert said == ["registry: shop-index version 1 (candidate)"]
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert [f.parent.name for f in (tmp_path / name / "mlflow-artifacts").rglob("report.html")] == ["report"]
    client = stores.client_of(tmp_path / name)
    assert [f.path for f in client.list_artifacts(run, "report")] == ["report/report.html"]
    held = client.get_model_version_by_alias("shop-index", "champion").source
    model = Path(mlflow.artifacts.download_artifacts(held))
    assert model.is_relative_to(tmp_path / name)
    assert len(list((model / "artifacts").rglob("record.json"))) == 2


@pytest.mark.slow
def test_the_tables_are_made_under_an_odd_name(tmp_path):
    name = "a%20b #?ä"
    store = stores.store_at(tmp_path / name)
    stores.told(store)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "mlflow.db").exists()


@pytest.mark.parametrize("name", NAMES)
def test_the_uri_of_a_database_is_read_back(name):
    uri = sqlite_uri(Path("/shops") / name / "mlflow.db")
    assert sqlite_file(uri) == Path("/shops") / name / "mlflow.db"
    assert files_of(uri) == Path("/shops") / name / "mlflow-artifacts"
    assert shlex.split(how_to_look(Place(f"/shops/{name}")).partition("(")[2].rstrip(")"))[-1] == uri


def test_other_uris_have_no_file_here():
    for uri in ("postgresql://db/mlflow", "http://mlflow:5000", "sqlite://", "sqlite:///:memory:"):
        assert sqlite_file(uri) is None
        assert files_of(uri) is None


def test_a_store_given_as_a_file_uri_is_a_local_one(tmp_path):
    assert tracking_uri(Place.of(f"file://{tmp_path}")) == f"sqlite:///{tmp_path}/mlflow.db"


def test_a_server_is_looked_at_in_a_browser_and_secrets_are_not_printed(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert how_to_look(Place("/store")) == "http://mlflow:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://shop:hunter2@db/mlflow")
    assert how_to_look(Place("/store")) == (
        'postgresql://***@db/mlflow  (mlflow ui --backend-store-uri "$MLFLOW_TRACKING_URI")'
    )


def test_what_follows_a_hash_in_the_uri_of_a_store_is_not_lost_in_silence():
    with pytest.raises(ConfigError, match="'memory://shop/a#b': .* write %23"):
        Place.of("memory://shop/a#b").exists()


def test_two_stores_in_one_process_have_a_database_each(tmp_path, database):
    folders = [tmp_path / "first", tmp_path / "second"]
    runs = [stores.told(stores.store_at(folder, database), name=folder.name) for folder in folders]
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert "MLFLOW_REGISTRY_URI" not in os.environ
    for folder, run in zip(folders, runs, strict=True):
        client = stores.client_of(folder)
        found = client.search_runs([client.get_experiment_by_name("unisid").experiment_id])
        assert {r.info.run_name for r in found} == {folder.name, "codes"}
        version = client.get_model_version("shop-index", "1")
        assert version.run_id == run
        assert version.source.startswith(folder.as_uri())


def test_the_global_settings_of_mlflow_are_neither_read_nor_changed(tmp_path, database, monkeypatch):
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    stores.told(stores.store_at(tmp_path / "store", database))
    assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri()) == before
    assert stores.client_of(tmp_path / "store").get_model_version("shop-index", "1")


@pytest.mark.parametrize("kept", [False, True])
def test_a_store_that_was_moved_writes_where_it_is_and_loads_what_it_had(tmp_path, database, kept):
    old, new = tmp_path / "old place", tmp_path / "new#place"
    store, said = stores.store_at(old, database), []
    first = stores.told(store)
    (shutil.copytree if kept else shutil.move)(old, new)
    before = sorted(old.rglob("*"))
    moved = stores.Store(Place.of(new))
    second = stores.told(moved, said, "again")
    assert said[0] == f"MLflow's files were at {old}/mlflow-artifacts; its database now names {new}/mlflow-artifacts"
    assert sorted(old.rglob("*")) == before, "nothing is written to the old place"
    client = stores.client_of(new)
    assert client.get_experiment_by_name("unisid").artifact_location == (new / "mlflow-artifacts").as_uri()
    for run in (first, second):
        assert client.get_run(run).info.artifact_uri.startswith(new.as_uri())
        assert [f.path for f in client.list_artifacts(run, "report")] == ["report/report.html"]
    held = client.get_model_version_by_alias("shop-index", "champion")
    model_id = held.source.split("/")[-2]
    assert Path(mlflow.artifacts.download_artifacts(held.source)).is_relative_to(new)
    assert client.get_model_version_download_uri("shop-index", "1").startswith(new.as_uri())
    assert client.get_logged_model(model_id).artifact_location.startswith(new.as_uri())
    said.clear()
    stores.told(moved, said)
    assert not [line for line in said if "MLflow's files" in line], "once is enough"


def test_a_command_that_makes_nothing_sets_a_moved_store_right_too(tmp_path, database):
    stores.told(stores.store_at(tmp_path / "old", database))
    shutil.move(tmp_path / "old", tmp_path / "new")
    with logged() as said:
        tracker(Place.of(tmp_path / "new"))
    assert len(said) == 1
    held = stores.client_of(tmp_path / "new").get_model_version_by_alias("shop-index", "champion")
    assert Path(mlflow.artifacts.download_artifacts(held.source)).is_relative_to(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    tracker(Place.of(tmp_path / "empty"))
    assert list((tmp_path / "empty").iterdir()) == []


def test_files_that_stayed_behind_are_still_found_there(tmp_path, database):
    old, new = tmp_path / "old", tmp_path / "new"
    first = stores.told(stores.store_at(old, database))
    moved = stores.store_at(new, old / "mlflow.db")
    second = stores.told(moved)
    client = stores.client_of(new)
    assert client.get_run(first).info.artifact_uri.startswith(old.as_uri())
    assert client.get_run(second).info.artifact_uri.startswith(new.as_uri())
    assert [f.path for f in client.list_artifacts(first, "report")] == ["report/report.html"]


def test_an_experiment_whose_files_were_put_elsewhere_stays_as_it_is(tmp_path, database):
    store = stores.store_at(tmp_path / "store", database)
    elsewhere = (tmp_path / "elsewhere").as_uri()
    stores.client_of(tmp_path / "store").create_experiment("unisid", artifact_location=elsewhere)
    said = []
    run = stores.told(store, said)
    client = stores.client_of(tmp_path / "store")
    assert client.get_experiment_by_name("unisid").artifact_location == elsewhere
    assert client.get_run(run).info.artifact_uri.startswith(elsewhere)
    assert not [line for line in said if "MLflow's files" in line]


def test_a_database_that_two_stores_share_keeps_the_files_beside_it(tmp_path, database, monkeypatch):
    shared = tmp_path / "shared" / "all.db"
    shared.parent.mkdir()
    shutil.copy(database, shared)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_uri(shared))
    runs = [stores.told(stores.store_at(tmp_path / name)) for name in ("first", "second")]
    client = MlflowClient(tracking_uri=sqlite_uri(shared))
    for run in runs:
        assert client.get_run(run).info.artifact_uri.startswith((tmp_path / "shared" / "mlflow-artifacts").as_uri())
