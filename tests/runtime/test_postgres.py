"""The registry as clusters run it: eight writers at once to an MLflow server on PostgreSQL and S3, which is killed."""

import contextlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from mlflow import MlflowClient
from moto.server import ThreadedMotoServer

from tests.recommenders import stored
from tests.runtime import heads, postgres, tracking_server
from tests.runtime.writers import RECIPE, WRITERS, version_of_writer
from unisid import cli
from unisid.artifacts.record import Record, require, write_record
from unisid.artifacts.store import Address, Place, Store
from unisid.runtime import doctor
from unisid.runtime.promotion import PREVIOUS, Pair, Registered, in_use
from unisid.runtime.registry import CANDIDATE, CHAMPION
from unisid.runtime.tracking import Tracker

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(postgres.program("postgres") is None, reason="PostgreSQL is not installed"),
    pytest.mark.skipif(sys.platform != "linux", reason="writers are forked"),
]
ROOT = Path(__file__).parents[2]
KEYS = {
    "AWS_ACCESS_KEY_ID": "unisid",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}
LOGGING = WRITERS - 2
"""The writers that log runs and register; the others promote."""
PROMOTED = {"a", "b"}
SYNCED = (0, WRITERS - 1)
QUALITY = {"distinct_share": 1.0, "usage": [1.0], "entropy": [1.0]}


@dataclass
class Server:
    """MLflow, its database and its object store."""

    database: postgres.Database
    s3: str
    port: int
    log: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.uri, self.uri)

    def start(self) -> None:
        """Start MLflow as `cluster/mlflow-compose.yaml` does, but for one worker, and wait until it answers."""
        backend = ("--backend-store-uri", self.database.uri("postgresql+psycopg2"))
        artifacts = ("--artifacts-destination", "s3://mlflow/artifacts")
        keys = KEYS | {"AWS_ENDPOINT_URL": self.s3}
        self.process = tracking_server.started(self.port, self.log, *backend, *artifacts, **keys)

    def kill(self) -> None:
        """End MLflow, and all its processes, by SIGKILL."""
        if self.process is not None:
            heads.end(self.process, seconds=0)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A running server."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    s3 = f"http://{host}:{port}"
    (free,) = heads.free_ports(1)
    with postgres.database() as database:
        found = Server(database, s3, free, tmp_path_factory.mktemp("mlflow") / "log")
        bucket_of(found).create()
        found.start()
        yield found
        found.kill()
    moto.stop()


def bucket_of(server):
    keys = {"aws_access_key_id": KEYS["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"]}
    return boto3.resource("s3", endpoint_url=server.s3, region_name="us-east-1", **keys).Bucket("mlflow")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One pair for each writer that registers, and two to be promoted: all alike but for their records."""
    made = stored(tmp_path_factory.mktemp("writers") / "store")
    for version in PROMOTED | {version_of_writer(number) for number in range(LOGGING)}:
        codes = copied(made, "codes", version, record_of(made, "codes/ring/1").inputs, {"gate": {}, "of": version})
        entry = {"address": codes.address, "fingerprint": codes.fingerprint}
        copied(made, "model", version, {"codes": entry}, record_of(made, "model/ring/1").config)
    (made.root / "pages").write("report.html", b"<p>all well</p>")
    return made


def record_of(store, address):
    return require(store.place(Address.parse(address)), address.split("/")[0])


def copied(store, noun, version, inputs, config):
    """Version 1 of a noun with a record of its own; returns that."""
    source, place = (Path(str(store.root)) / noun / "ring" / each for each in ("1", version))
    shutil.copytree(source, place, ignore=shutil.ignore_patterns("record.json"))
    counts = record_of(store, f"{noun}/ring/1").counts | {"quality": QUALITY}
    record = Record(address=f"{noun}/ring/{version}", config=config, inputs=inputs, counts=counts)
    write_record(store.place(Address(noun, "ring", version)), record)
    return record


@dataclass
class Writers:
    """The process that forks writers, once for each line that it is given."""

    process: "subprocess.Popen[str]"

    @contextlib.contextmanager
    def at_work(self, kind, store, folder):
        """Begin; at the end all are done, and what the context gave holds each one's exit code and output."""
        folder.mkdir()
        found = []
        print(json.dumps([kind, str(store), str(folder)]), file=self.process.stdin, flush=True)
        yield found
        assert self.process.stdout.readline() == "done\n"
        for number in range(WRITERS):
            *lines, code = (folder / f"{number}.txt").read_text().strip().splitlines()
            found.append((int(code), "\n".join(lines)))


@pytest.fixture(scope="module")
def writers(server):
    """Eight writers to the server; who is cut off does not try twice."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "UNISID_", "RAY_"))}
    env |= {"MLFLOW_TRACKING_URI": server.uri, "MLFLOW_DISABLE_TELEMETRY": "true"}
    words = [sys.executable, "-m", "tests.runtime.writers"]
    process = subprocess.Popen(words, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield Writers(process)
    heads.end(process, seconds=0)
    process.stdin.close()
    process.stdout.close()


@pytest.fixture(scope="module")
def written(writers, store, tmp_path_factory):
    """Eight writers have written at once."""
    with writers.at_work("AT_ONCE", store.root, tmp_path_factory.mktemp("at_once") / "out") as found:
        pass
    return found


def versions(server, model):
    return sorted(server.client.search_model_versions(f"name = '{model}'"), key=lambda found: int(found.version))


def test_no_writer_of_eight_is_refused(written, server):
    for code, said in written[:LOGGING]:
        assert code == 0, said + server.log.read_text()[-3000:]
    for code, said in written[LOGGING:]:  # what the other one had just done may leave no way back
        assert code == 0 or "there is no way back" in said or "is being promoted" in said, (
            said + server.log.read_text()[-3000:]
        )


def test_every_run_is_finished_and_has_its_figures(written, server):
    experiment = server.client.get_experiment_by_name("unisid").experiment_id
    runs = server.client.search_runs([experiment])
    assert {run.info.status for run in runs if not run.info.run_name.startswith("roll back")} == {"FINISHED"}
    named = {run.info.run_name: run for run in runs}
    for number in range(LOGGING):
        parent = named[f"writer {number}"]
        assert parent.data.params == {"writer": str(number)}
        (child,) = (run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id)
        assert child.data.params == {"version": version_of_writer(number)}
        history = server.client.get_metric_history(child.info.run_id, "loss")
        assert {each.step: each.value for each in history} == {step: 1.0 / step for step in range(1, 6)}
        assert [each.path for each in server.client.list_artifacts(parent.info.run_id, "report")] == [
            "report/report.html"
        ]


def test_no_version_is_lost_and_none_is_there_twice(written, server, store):
    wanted = PROMOTED | {version_of_writer(number) for number in range(LOGGING)}
    for model, noun in (("ring-index", "codes"), ("ring-recommender", "model")):
        found = versions(server, model)
        assert sorted(each.tags["address"] for each in found) == sorted(f"{noun}/ring/{each}" for each in wanted)
        for each in found:
            record = record_of(store, each.tags["address"])
            assert each.tags["fingerprint"] == record.fingerprint
            assert server.client.get_run(each.run_id).info.status == "FINISHED"
            logged = server.client.get_logged_model(each.source.removeprefix("models:/"))
            assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": model, "version": str(each.version)}]
    kept = {each.key.split("/")[-3] for each in bucket_of(server).objects.all() if each.key.endswith("/MLmodel")}
    assert kept >= {each.source.removeprefix("models:/") for each in found}


def test_the_aliases_are_those_of_whole_pairs(written, server):
    registered, found = Registered(server.client, "ring"), in_use(Tracker(server.uri), "ring")
    there = {model: {each.version for each in versions(server, model)} for model in ("ring-index", "ring-recommender")}
    for alias in (CHAMPION, PREVIOUS, CANDIDATE):
        assert found[alias].index in there["ring-index"]
        assert found[alias].recommender in {None, *there["ring-recommender"]}
    for alias in (CHAMPION, PREVIOUS):
        assert registered.fits(found[alias]), found
    assert found[CHAMPION].recommender is not None


def test_the_database_itself_says_the_same_to_either_driver(written, server):
    """Without a server between, as `MLFLOW_TRACKING_URI=postgresql://...` is given."""
    found = in_use(Tracker(server.uri), "ring")
    assert found == in_use(Tracker(server.database.uri()), "ring")
    assert found[CHAMPION] != Pair(None, None)


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg2", "postgresql+psycopg", "http"])
def test_the_doctor_finds_what_answers(server, tmp_path, monkeypatch, scheme):
    uri = server.uri if scheme == "http" else server.database.uri(scheme)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    (check,) = doctor._mlflow(Store(Place.of(tmp_path)))
    assert (check.state, check.remedy) == ("ok", "")
    shown = uri.replace(f"mlflow:{postgres.PASSWORD}@", "***@")
    assert re.fullmatch(rf"[\d.]+, {re.escape(shown)} \(answers, in \d+ ms\)", check.found), check.found


def test_what_a_killed_server_missed_is_brought_in_later(written, writers, server, tmp_path, monkeypatch, capsys):
    """The server and its database die while eight runs are in the middle of a stage, and lose nothing of before."""
    before = in_use(Tracker(server.uri), "ring")
    at = tmp_path / "store"
    with writers.at_work("CUT_OFF", at, tmp_path / "out") as found:
        waits = [at.with_name(f"store.{number}.waits") for number in range(WRITERS)]
        heads.until(lambda: all(path.exists() for path in waits), "every writer is in its stage")
        server.kill()
        server.database.kill()
        at.with_name("store.open").touch()
    for code, said in found:
        assert code == 0, said
        assert said.count("cannot be reached") == 1, said
        assert "nothing is lost: run `unisid sync RECIPE` when it is back" in said

    server.database.start()
    server.start()
    assert in_use(Tracker(server.uri), "ring") == before
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    for number in SYNCED:
        assert cli.main(["sync", RECIPE, "--name", f"shop-{number}", "--store", str(at)]) == 0
        assert f"logged to MLflow: catalog/shop-{number}/1" in capsys.readouterr().out
    client = server.client
    runs = client.search_runs([client.get_experiment_by_name("unisid").experiment_id])
    assert not [run for run in runs if run.info.status == "RUNNING"]
    for number in SYNCED:
        mine = [run for run in runs if run.info.run_name == f"shop-{number}"]
        assert sorted(run.info.status for run in mine) == ["FINISHED", "KILLED"]
        whole = next(run.info.run_id for run in mine if run.info.status == "FINISHED")
        (child,) = (run for run in runs if run.data.tags.get("mlflow.parentRunId") == whole)
        record = require(Store(Place.of(at)).place(Address("catalog", f"shop-{number}", "1")), "catalog")
        assert child.data.tags["fingerprint"] == record.fingerprint
        assert child.data.metrics["items"] == record.counts["items"]
