"""What this machine has: looked at, said in one table and as JSON, with what does not work and what helps."""

import contextlib
import http.server
import importlib.util
import json
import re
import shutil
import socket
import threading
import tomllib
import uuid
from pathlib import Path
from types import SimpleNamespace

import fsspec.implementations.memory
import pytest
import torch

import unisid
from unisid import cli
from unisid.artifacts.store import Place, Store
from unisid.errors import ConfigError
from unisid.runtime import doctor, ray_session, tracking_reached

ROOT = Path(__file__).parents[2]
NOT_LOOKED_AT = {"dev", "docs", "cpu", "gpu"}
"""faiss, of `cpu` and `gpu`, is a part that must be there."""
PARTS = ["Python", "unisid", "cores", "memory", "torch", "faiss", "Ray", "MLflow", "store", "disk of the store"]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def found(store):
    return {check.name: check for check in unisid.doctor(store)}


def test_every_part_is_there_and_nothing_is_changed(tmp_path):
    store = tmp_path / "store"
    checks = found(store)
    assert set(PARTS) <= checks.keys()
    assert all(checks[part].state == "ok" for part in PARTS)
    assert torch.__version__ in checks["torch"].found
    assert "is made by the first run" in checks["store"].found
    assert not store.exists()


def test_the_command_prints_a_table_or_json(tmp_path, capsys):
    assert cli.main(["doctor", "--store", str(tmp_path)]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["part", "state", "found"]
    assert rows[0].split()[:2] == ["Python", "ok"]
    assert cli.main(["doctor", "--json", "--store", str(tmp_path)]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body[0].keys() == {"name", "state", "found", "remedy"}
    assert [row["name"] for row in body][:2] == ["Python", "unisid"]


def test_what_is_not_installed_is_named_with_what_helps(tmp_path, monkeypatch):
    real = importlib.util.find_spec

    def find(name):
        if name.startswith("google."):
            raise ModuleNotFoundError("No module named 'google.cloud'")  # as Python says of a name with a dot
        return None if name == "deepspeed" else real(name)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    checks = found(tmp_path)
    for name, extra in (("deepspeed", "llm"), ("BigQuery, to write", "bigquery")):
        assert (checks[name].state, checks[name].found) == ("absent", "is not installed")
        assert f"pip install 'unisid[{extra}]'" in checks[name].remedy
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    check = found(tmp_path)["faiss"]
    assert check.state == "fault"
    assert "pip install 'unisid[cpu]'" in check.remedy


def test_every_extra_for_the_machine_is_among_the_parts(tmp_path):
    """What only works with an extra is named with it; `dev` and `docs` are for who changes unisid."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    told = " ".join(remedy for *_, remedy in doctor.OPTIONAL)
    assert set(re.findall(r"unisid\[(\w+)\]", told)) == set(project["optional-dependencies"]) - NOT_LOOKED_AT


def test_a_store_that_is_a_file_is_a_fault_of_the_machine(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["doctor", "--store", str(tmp_path / "file")]) == 1
    out, complaint = capsys.readouterr()
    assert "is a file; a folder is needed" in out
    assert "store must be put right, as listed" in complaint


@contextlib.contextmanager
def serving(status, body):
    """A web server that answers everything so; yields its port and what it was asked for."""
    asked = []

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *given):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()
            thread.join()


def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_servers_that_do_not_answer_are_faults(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", f"ray://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{closed_port()}")
    checks = found(tmp_path)
    for name in ("Ray", "MLflow"):
        assert checks[name].state == "fault"
        assert "nothing answers" in checks[name].found
        assert "secret" not in checks[name].found


def test_a_cluster_that_answers_is_attached_to_and_its_resources_are_named(tmp_path, monkeypatch):
    asked = []

    @contextlib.contextmanager
    def session():
        asked.append("session")
        yield False

    monkeypatch.setattr(ray_session, "session", session)
    monkeypatch.setattr(ray_session, "total", lambda kind: {"CPU": 64.0, "GPU": 8.0}[kind])
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        [check] = doctor._ray(None)
    assert (check.state, asked) == ("ok", ["session"])
    assert check.found.endswith(f", {address}: 64 CPU, 8 GPU")


def test_a_cluster_that_refuses_is_a_fault_in_its_own_words(tmp_path, monkeypatch):
    long = "the head says: " + "no " * 200

    def refused():
        raise ConfigError(
            f"Ray at auto: cannot be reached ({long.strip()}); needed are a cluster that runs, and its token"
        )

    monkeypatch.setattr(ray_session, "session", refused)
    monkeypatch.setenv("RAY_ADDRESS", "auto")  # Ray itself looks for it
    check = found(tmp_path)["Ray"]
    assert check == doctor.Check(
        "Ray",
        "fault",
        f"Ray at auto: cannot be reached ({long.strip()})",
        "needed are a cluster that runs, and its token",
    )


def test_a_server_that_answers_as_mlflow_does_is_fine(tmp_path, monkeypatch):
    with serving(200, b'{"experiments": []}') as (port, asked):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        check = found(tmp_path)["MLflow"]
    assert check.state == "ok"
    assert re.search(r"http://127\.0\.0\.1:\d+ \(answers, in \d+ ms\)$", check.found)
    assert asked == ["/api/2.0/mlflow/experiments/search?max_results=1"]


@pytest.mark.parametrize(
    ("status", "body", "what", "remedy"),
    [
        (404, b"<html>not here</html>", "no MLflow server", "give the URI of one"),
        (200, b"<html>a shop</html>", "no MLflow server", "give the URI of one"),
        (401, b"who are you", "it refuses this user", "MLFLOW_TRACKING_USERNAME"),
    ],
)
def test_a_server_that_answers_otherwise_is_a_fault(tmp_path, monkeypatch, status, body, what, remedy):
    with serving(status, body) as (port, _):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        check = found(tmp_path)["MLflow"]
    assert check.state == "fault"
    assert what in check.found
    assert remedy in check.remedy


def test_what_takes_a_connection_and_says_nothing_is_no_server(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking_reached, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        check = found(tmp_path)["MLflow"]
    assert check.state == "fault"
    assert "cannot be reached" in check.found


def test_a_database_whose_uri_has_no_port_is_looked_for_at_the_usual_one(tmp_path, monkeypatch):
    assert tracking_reached.PORTS["postgresql"] == 5432
    port = closed_port()
    monkeypatch.setitem(tracking_reached.PORTS, "postgresql", port)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://user:secret@127.0.0.1/runs")
    check = found(tmp_path)["MLflow"]
    assert check.state == "fault"
    assert f"nothing answers at port {port}" in check.found
    assert "secret" not in check.found


def test_a_database_must_answer_a_statement(tmp_path, monkeypatch):
    with serving(200, b"I am no database") as (port, _):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql+psycopg2://user:secret@127.0.0.1:{port}/runs")
        check = found(tmp_path)["MLflow"]
    assert check.state == "fault"
    assert "its database cannot be used" in check.found
    assert "secret" not in check.found + check.remedy


def test_a_store_at_a_uri_is_written_to_and_left_as_it_was(monkeypatch):
    root = Place.of(f"memory://{uuid.uuid4().hex}/store")
    [check, *_] = doctor._store(Store(root))
    assert check.state == "ok"
    assert "is made by the first run; a file was written, read and deleted" in check.found
    (root / "codes").write("kept", b"1")
    [check, *_] = doctor._store(Store(root))
    assert "is there; a file was written" in check.found
    assert root.hidden() == []
    assert root.folders() == ["codes"]


def test_a_store_at_a_uri_that_may_not_be_written_to_is_a_fault(monkeypatch):
    def refused(self, path, *rest, **named):
        raise PermissionError(13, "AccessDenied", path)

    monkeypatch.setattr(fsspec.implementations.memory.MemoryFileSystem, "_open", refused)
    [check, *_] = doctor._store(Store(Place.of(f"memory://{uuid.uuid4().hex}/store")))
    assert check.state == "fault"
    assert "AccessDenied" in check.found
    assert "rights to write are needed" in check.remedy


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns", "ftp://shop:secret@host"])
def test_a_place_that_mlflow_does_not_write_to_is_a_fault(tmp_path, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    check = found(tmp_path)["MLflow"]
    assert check.state == "fault"
    assert "which MLflow does not write to" in check.found
    assert "secret" not in check.found


def test_a_full_disk_is_a_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 20, total=1 << 40))
    check = found(tmp_path)["disk of the store"]
    assert (check.state, check.remedy) == ("fault", "at least 2 GiB should be free")


def test_trouble_in_one_part_leaves_the_others(tmp_path, monkeypatch):
    def broken(store):
        raise RuntimeError("no such device")
        yield

    monkeypatch.setitem(doctor.LOOKS, "torch", broken)
    checks = found(tmp_path)
    assert checks["torch"].found == "could not be looked at: RuntimeError: no such device"
    assert "report it" in checks["torch"].remedy
    assert checks["store"].state == "ok"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_taught_every_command(capsys, shell):
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for command in ("plan", "run", "recommend", "doctor", "promote"):
        assert command in script
    assert "--allow-history" in script
