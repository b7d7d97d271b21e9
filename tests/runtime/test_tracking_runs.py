"""Runs of processes that died are closed by the next one; two that start together make one database."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.lines import logged
from tests.runtime import stores
from unisid.runtime.tracking import Tracker
from unisid.runtime.tracking_place import sqlite_uri
from unisid.runtime.tracking_runs import PROCESS, Process

BEGIN = """
import sys, time
from unisid.runtime.tracking import Tracker
told = Tracker(sys.argv[1])
with told.pipeline("killed", {}, {}), told.stage("codes", {}):
    print("begun", flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return stores.empty_database(tmp_path_factory.mktemp("database"))


def statuses(client):
    runs = client.search_runs([client.get_experiment_by_name("unisid").experiment_id])
    return {run.info.run_name: run.info.status for run in runs}


@pytest.mark.slow
def test_the_next_run_closes_what_a_killed_process_left(tmp_path, database):
    shutil.copy(database, tmp_path / "mlflow.db")
    uri = sqlite_uri(tmp_path / "mlflow.db")
    process = subprocess.Popen([sys.executable, "-c", BEGIN, uri], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    client = stores.client_of(tmp_path)
    with logged() as said, Tracker(uri).pipeline("beside", {}, {}):
        assert statuses(client) == {"killed": "RUNNING", "codes": "RUNNING", "beside": "RUNNING"}
    assert said == []
    process.send_signal(signal.SIGKILL)
    process.wait()
    with logged(said), Tracker(uri).pipeline("next", {}, {}):
        assert statuses(client) == {"killed": "KILLED", "codes": "KILLED", "beside": "FINISHED", "next": "RUNNING"}
    assert said == ["closed 2 runs in MLflow whose process had ended"]


def test_an_interrupted_run_is_killed_and_a_broken_one_failed(tmp_path, database):
    shutil.copy(database, tmp_path / "mlflow.db")
    told = Tracker(sqlite_uri(tmp_path / "mlflow.db"))
    with pytest.raises(KeyboardInterrupt), told.pipeline("interrupted", {}, {}):
        raise KeyboardInterrupt
    with pytest.raises(RuntimeError), told.pipeline("broken", {}, {}):
        raise RuntimeError
    assert statuses(told.client) == {"interrupted": "KILLED", "broken": "FAILED"}


def test_only_a_process_of_this_machine_is_surely_dead():
    own = Process.own()
    assert Process.parse(str(own)) == Process(own.host, own.namespace, os.getpid(), round(own.begun, 2))
    assert not own.is_dead
    assert Process(own.host, own.namespace, own.number, own.begun - 100).is_dead, "the number went to another process"
    gone = next(number for number in range(4_000_000, 5_000_000) if not psutil.pid_exists(number))
    assert Process(own.host, own.namespace, gone, own.begun).is_dead
    assert not Process("another-host", own.namespace, gone, own.begun).is_dead
    assert not Process(own.host, "another-container", gone, own.begun).is_dead
    assert Process.parse("someone else's tag") is None


def test_runs_of_other_programs_are_left_alone(tmp_path, database):
    shutil.copy(database, tmp_path / "mlflow.db")
    client = stores.client_of(tmp_path)
    experiment = client.create_experiment("unisid")
    other = client.create_run(experiment, run_name="other").info.run_id
    strange = client.create_run(experiment, run_name="strange", tags={PROCESS: "?"}).info.run_id
    with Tracker(sqlite_uri(tmp_path / "mlflow.db")).pipeline("next", {}, {}):
        assert client.get_run(other).info.status == client.get_run(strange).info.status == "RUNNING"


def write(uri, scratch, name, start, said):
    os.environ["TMPDIR"] = str(scratch)  # MLflow's own lock lies there: two containers do not share it
    while time.time() < start:
        time.sleep(0.01)
    told = Tracker(uri)
    with logged() as lines, told.pipeline(name, {}, {}), told.stage(f"{name}-codes", {}) as log:
        for step in range(30):
            log.metrics({"loss": 1.0, "step": step})
    said.extend(lines)


@pytest.mark.slow
def test_two_processes_that_start_together_make_one_database(tmp_path):
    uri = sqlite_uri(tmp_path / "store" / "mlflow.db")
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        said, start = manager.list(), time.time() + 12
        processes = []
        for name in ("first", "second"):
            scratch = tmp_path / f"scratch-{name}"
            scratch.mkdir()
            processes.append(context.Process(target=write, args=(uri, scratch, name, start, said)))
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
        assert [process.exitcode for process in processes] == [0, 0]
        assert list(said) == []
    client = stores.client_of(tmp_path / "store")
    assert [e.name for e in client.search_experiments() if e.name != "Default"] == ["unisid"]
    assert statuses(client) == dict.fromkeys(("first", "first-codes", "second", "second-codes"), "FINISHED")
    for run in client.search_runs([client.get_experiment_by_name("unisid").experiment_id]):
        if run.info.run_name.endswith("codes"):
            assert len(client.get_metric_history(run.info.run_id, "loss")) == 30
