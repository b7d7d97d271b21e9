"""What is wrong with MLflow is said as it is, with what helps; a run goes on, and secrets stay out of all of it."""

import http.server
import shutil
import sqlite3
import threading

import pytest

from tests.lines import logged
from tests.runtime import stores
from unisid.artifacts.store import Place
from unisid.errors import ConfigError
from unisid.runtime import promotion
from unisid.runtime.tracking import Tracker, tracker
from unisid.runtime.tracking_place import sqlite_uri


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return stores.empty_database(tmp_path_factory.mktemp("database"))


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in (
        "MLFLOW_TRACKING_URI",
        "MLFLOW_REGISTRY_URI",
        "MLFLOW_EXPERIMENT_NAME",
        "MLFLOW_EXPERIMENT_ID",
        "MLFLOW_ALLOW_FILE_STORE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def warning_of(uri):
    """The one thing said of a run whose tracker is in trouble."""
    told = Tracker(uri)
    with logged() as said, told.pipeline("demo", {"a": 1}, {}), told.stage("codes", {}) as log:
        log.metrics({"loss": 1.0, "step": 0})
    assert len(said) == 1, said
    assert told.trouble
    assert "nothing is lost: run `unisid sync RECIPE`" in said[0]
    return said[0]


@pytest.fixture
def answer():
    """Start a server that answers everything with one status and body; returns its URI."""
    servers = []

    def start(status, body):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815  # the name is http.server's

            def log_message(self, *words):
                pass

        servers.append(http.server.HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b"You are not authenticated", ("refuses this user, with HTTP status 401", "MLFLOW_TRACKING_USERNAME")),
        (403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}', ("HTTP status 403", "MLFLOW_TRACKING_TOKEN")),
        (404, b"<html>nothing</html>", ("what answers there is no MLflow server",)),
        (200, b"<html>a shop</html>", ("what answers there is no MLflow server",)),
        (503, b"later", ("cannot be reached", "when it is back")),
        (
            400,
            b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "bad name"}',
            ("refuses what it is sent", "bad name"),
        ),
    ],
)
def test_each_answer_of_a_server_has_its_own_words(answer, status, body, words):
    said = warning_of(answer(status, body))
    assert all(word in said for word in words), said
    assert ("cannot be reached" in said) == (status == 503)


def test_a_server_that_is_not_there_cannot_be_reached():
    assert "cannot be reached" in warning_of("http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        (
            "nonsense://shop:hunter2@db/mlflow",
            "'nonsense://***@db/mlflow', which MLflow has nothing for; must begin with",
        ),
        ("mssql+nodriver://shop:hunter2@db/mlflow", "which MLflow has nothing for"),
        ("./mlruns", "'./mlruns', a folder; MLflow writes to databases and servers"),
        ("file:///tmp/mlruns", "a folder; MLflow writes to databases and servers"),
    ],
)
def test_a_uri_that_is_of_no_use_stops_before_anything_is_made(uri, words):
    told = Tracker(uri)
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_URI") as error, told.pipeline("demo", {}, {}):
        pytest.fail("nothing may begin")
    assert words in str(error.value)
    assert "hunter2" not in str(error.value)


def test_a_driver_that_is_not_installed_is_named_with_the_extra_that_has_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    told = Tracker("postgresql://shop:hunter2@db/mlflow")
    with pytest.raises(ConfigError) as error, told.pipeline("demo", {}, {}):
        pytest.fail("nothing may begin")
    assert str(error.value) == (
        "MLFLOW_TRACKING_URI: is 'postgresql://***@db/mlflow', for which the Python package 'psycopg' is not "
        "installed; pip install 'unisid[server]'"
    )


@pytest.mark.parametrize("found", ["acf3f17fdcc7", "ffffffffffff"])
def test_a_database_of_another_mlflow_is_named_as_such(tmp_path, database, found):
    shutil.copy(database, tmp_path / "mlflow.db")
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("update alembic_version set version_num = ?", (found,))
    said = warning_of(sqlite_uri(tmp_path / "mlflow.db"))
    assert f"another version of MLflow's tables (found version {found}" in said
    assert "mlflow db upgrade" in said


def test_a_file_that_is_no_database_is_named_as_such(tmp_path, monkeypatch):
    monkeypatch.setattr("mlflow.store.db.utils.MAX_RETRY_COUNT", 1)
    (tmp_path / "mlflow.db").write_bytes(b"no database at all, " * 100)
    said = warning_of(sqlite_uri(tmp_path / "mlflow.db"))
    assert "its database cannot be used" in said
    assert "file is not a database" in said


def test_a_deleted_experiment_is_named_with_both_ways_out(tmp_path, database, monkeypatch):
    store = stores.store_at(tmp_path / "store", database)
    client = stores.client_of(tmp_path / "store")
    number = client.create_experiment("unisid")
    client.delete_experiment(number)
    said = warning_of(sqlite_uri(tmp_path / "store" / "mlflow.db"))
    assert "experiment 'unisid' was deleted" in said
    assert f"mlflow experiments restore --experiment-id {number}" in said
    assert "cannot be reached" not in said
    with pytest.raises(Exception, match="nothing was promoted: .* experiment 'unisid' was deleted"):
        promotion.roll_back(tracker(store.root), "shop")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "another")
    said = []
    stores.told(store, said)
    assert not [line for line in said if "warning" in line]


def test_the_experiment_of_the_environment_is_used(tmp_path, database, monkeypatch):
    store = stores.store_at(tmp_path / "store", database)
    client = stores.client_of(tmp_path / "store")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "spring sale")
    stores.told(store)
    spring = client.get_experiment_by_name("spring sale")
    assert spring.artifact_location == (tmp_path / "store" / "mlflow-artifacts").as_uri()
    assert len(client.search_runs([spring.experiment_id])) == 2
    assert client.get_experiment_by_name("unisid") is None
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", spring.experiment_id)
    stores.told(store)
    assert len(client.search_runs([spring.experiment_id])) == 4


def test_secrets_reach_neither_tags_nor_params(tmp_path, database):
    shutil.copy(database, tmp_path / "mlflow.db")
    told = Tracker(sqlite_uri(tmp_path / "mlflow.db"))
    secret = "s3://AKIA:hunter2@shop/items.csv?secret_key=hunter2"
    with told.pipeline("demo", {"catalog.dataset.items": secret}, {"note": secret}):
        told.tag(told.parent, {"input.items": secret})
    run = told.client.get_run(told.parent)
    shown = "s3://***@shop/items.csv?secret_key=***"
    assert run.data.params["catalog.dataset.items"] == shown
    assert run.data.tags["note"] == run.data.tags["input.items"] == shown
    assert b"hunter2" not in (tmp_path / "mlflow.db").read_bytes()


def test_a_fault_of_the_program_is_not_taken_for_one_of_mlflow(tmp_path, database):
    shutil.copy(database, tmp_path / "mlflow.db")
    told = Tracker(sqlite_uri(tmp_path / "mlflow.db"))
    with told.pipeline("demo", {}, {}), pytest.raises(TypeError):
        told.log(told.parent, {"loss": object()}, 0)
    assert not told.trouble


def test_a_tracker_of_a_remote_store_writes_to_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tracker(Place.of("memory://shop")).uri == f"sqlite:///{tmp_path}/mlflow.db"
