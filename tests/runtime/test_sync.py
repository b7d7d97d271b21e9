"""A real MLflow server goes away at the end of a stage; what it missed it is told when it is back."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
import requests
from mlflow import MlflowClient

from tests.runtime import heads
from unisid import cli, making
from unisid.artifacts.record import require
from unisid.artifacts.store import Address, Place, Store

RECIPE = "tests/end_to_end/recipes.py:tiny"
WORDS = (RECIPE, "--fused.fusion", "concat")
NOUNS = ("catalog", "embeddings", "graph", "fused", "codes")


@contextlib.contextmanager
def server(folder, port):
    """An MLflow server over the SQLite file and the files of a folder, until the context ends."""
    words = [str(Path(sys.executable).with_name("mlflow")), "server", "--backend-store-uri",
             f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/files", "--host", "127.0.0.1",
             "--port", str(port), "--workers", "1"]  # fmt: skip
    env = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")} | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        heads.until(lambda: answers(port), "MLflow answers")
        yield process
    finally:
        heads.end(process, seconds=0)


def answers(port):
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok
    return False


@pytest.fixture
def port(monkeypatch):
    """Where the server of this process's environment listens, when it does."""
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    (found,) = heads.free_ports(1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{found}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    yield found
    mlflow.set_tracking_uri(before[0])
    mlflow.set_registry_uri(before[1])


@pytest.mark.slow
def test_a_server_that_was_down_at_the_end_of_a_stage_is_told_later(port, tmp_path, monkeypatch, capsys):
    written = making.write_record
    with server(tmp_path, port) as process:

        def write_record(place, record):
            if record.noun == "codes":
                heads.end(process, seconds=0)
            written(place, record)

        monkeypatch.setattr(making, "write_record", write_record)
        code = cli.main(["run", *WORDS, "--until", "codes", "--compute", "local", "--store", str(tmp_path / "store")])
    said = capsys.readouterr().out
    assert code == 0, said
    assert said.count("cannot be reached") == 1
    assert "nothing is lost: run `unisid sync RECIPE` when it is back" in said
    codes = require(Store(Place.of(tmp_path / "store")).place(Address("codes", "tiny", "1")), "codes")

    with server(tmp_path, port):
        assert cli.main(["sync", *WORDS, "--store", str(tmp_path / "store")]) == 0
        said = capsys.readouterr().out
        assert [line for line in said.splitlines() if line.startswith("told")] == [
            f"told MLflow of {noun}/tiny/1" for noun in NOUNS
        ]
        client = MlflowClient(tracking_uri=f"http://127.0.0.1:{port}")
        runs = client.search_runs([client.get_experiment_by_name("unisid").experiment_id])
        whole = next(r for r in runs if r.info.run_name == "tiny" and r.info.status == "FINISHED")
        told = {r.info.run_name: r for r in runs if r.data.tags.get("mlflow.parentRunId") == whole.info.run_id}
        assert set(told) == set(NOUNS)
        assert told["codes"].data.tags["fingerprint"] == codes.fingerprint
        assert told["codes"].data.metrics["quality.distinct_share"] == codes.counts["quality"]["distinct_share"]
        assert client.get_metric_history(told["graph"].info.run_id, "loss")
        attached = [f.path for f in client.list_artifacts(whole.info.run_id, "report")]
        assert "report/report.html" in attached
        champion = client.get_model_version_by_alias("tiny-index", "champion")
        assert champion.tags["fingerprint"] == codes.fingerprint
