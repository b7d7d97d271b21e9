"""What this machine has: looked at, said in one table and as JSON, with what does not work and what helps."""

import importlib.util
import json
import re
import shutil
import socket
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import unisid
from unisid import cli
from unisid.runtime import doctor

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
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "deepspeed" else real(name))
    check = found(tmp_path)["deepspeed"]
    assert (check.state, check.found) == ("absent", "is not installed")
    assert "pip install 'unisid[llm]'" in check.remedy
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


def test_a_server_that_answers_is_fine(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert found(tmp_path)["MLflow"].state == "ok"


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
    assert checks["torch"].found == "RuntimeError: no such device"
    assert checks["store"].state == "ok"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_taught_every_command(capsys, shell):
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for command in ("plan", "run", "recommend", "doctor", "promote"):
        assert command in script
    assert "--allow-history" in script
