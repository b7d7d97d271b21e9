"""The accelerator's benchmark runs from end to end at tiny sizes, says what fails, and its checks see differences."""

import json
import os
import subprocess
import sys
from importlib.metadata import distribution, requires

import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import equal, kit
from benchmarks.gpu.bars import BARS, judged
from benchmarks.gpu.hardware import Device, operations_of
from benchmarks.gpu.shapes import FULL, TINY
from benchmarks.gpu.times import TIMES


def run(folder, *words):
    """The exit code and what was written."""
    code = command.main(["--tiny", "--out", str(folder), *words])
    [path] = folder.glob("*-tiny.json")
    return code, json.loads(path.read_text())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What the kit wrote and printed in an interpreter that has torch, transformers and what is packed, and no more."""
    kit_folder, packages, out = (tmp_path_factory.mktemp("gpu") / name for name in ("kit", "packages", "out"))
    kit.copy(kit_folder, "3.12")
    packages.mkdir()
    for name in required("torch", "transformers") | {canonicalize_name(name) for name in kit.PACKED}:
        for file in distribution(name).files or ():
            link = packages / file.parts[0]
            if file.parts[0] not in ("..", "__pycache__") and not link.is_symlink():
                link.symlink_to(distribution(name).locate_file(file.parts[0]))
    setting = {"PATH": os.environ["PATH"], "PYTHON": f"{sys.executable} -S", "PACKAGES": str(packages)}
    command = ["sh", str(kit_folder / "run.sh"), str(out), "--tiny"]
    done = subprocess.run(command, env=setting | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not {"ray", "mlflow", "sklearn"} & {path.name for path in packages.iterdir()}
    return out, done.stdout


def required(*names):
    """The distributions, and all that they require."""
    found, ahead = set(), list(names)
    while ahead:
        name = canonicalize_name(ahead.pop())
        if name not in found:
            found.add(name)
            needed = map(Requirement, requires(name) or ())
            ahead += [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


def test_all_of_it_runs_where_nothing_else_is_installed(whole):
    out, printed = whole
    [path], [page] = out.glob("*-tiny.json"), out.glob("*-tiny.md")
    found = json.loads(path.read_text())
    assert set(found["results"]) == {"checks", *TIMES}
    assert all(check["equal"] for check in found["results"]["checks"].values())
    assert found["results"]["uqf"]["items_per_second"] > 0
    graph = found["results"]["graph"]
    assert graph["epoch_seconds"] > graph["propagation_seconds"] > 0
    assert graph["steps"] == -(-graph["edges"] // TINY.graph_batch)
    assert (found["bars"], found["skipped"]) == ({}, [])
    assert page.read_text().strip() in printed


def test_a_kit_for_another_python_says_so(tmp_path):
    kit.copy(tmp_path / "kit", "3.1")
    setting = {"PATH": os.environ["PATH"], "PYTHON": sys.executable}
    command = ["sh", str(tmp_path / "kit" / "run.sh")]
    done = subprocess.run(command, env=setting, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the wheels are of Python 3.1, this is 3." in done.stderr


def test_a_section_that_fails_is_recorded_and_the_others_go_on(tmp_path, monkeypatch):
    def broken(device, size):
        raise RuntimeError("out of memory")

    monkeypatch.setitem(command.TIMES, "graph", broken)
    code, found = run(tmp_path, "--only", "graph", "trie")
    assert code == 1
    assert found["results"]["graph"]["error"] == "RuntimeError: out of memory"
    assert found["results"]["trie"]["step_ms"] > 0


def test_sections_without_time_are_named(tmp_path):
    code, found = run(tmp_path, "--seconds", "-1", "--only", "trie", "graph")
    assert (code, found["results"], found["skipped"]) == (0, {}, ["trie", "graph"])


def test_a_section_begins_only_if_it_is_expected_to_end_in_time(tmp_path, monkeypatch):
    assert set(command.EXPECTED) == {"checks", *TIMES}
    assert sum(command.EXPECTED.values()) <= 480
    monkeypatch.setattr(command, "TINY_SECONDS", 60.0)
    assert run(tmp_path, "--seconds", "59", "--only", "trie")[1]["skipped"] == ["trie"]
    assert run(tmp_path, "--seconds", "100", "--only", "trie")[1]["skipped"] == []


def test_a_check_that_breaks_does_not_hide_the_others(tmp_path, monkeypatch):
    def broken(device):
        raise ValueError("no kernel")

    for name in list(equal.CHECKS)[2:]:
        monkeypatch.delitem(equal.CHECKS, name)
    first, second = equal.CHECKS
    monkeypatch.setitem(equal.CHECKS, first, (broken, 0.1))
    code, found = run(tmp_path, "--only", "checks")
    assert code == 1
    assert found["results"]["checks"][first] == {"error": "ValueError: no kernel", "equal": False}
    assert found["results"]["checks"][second]["equal"]


def test_bars_stand_beside_the_figures():
    results = {
        "uqf": {"mfu": 0.31, "compiled_mfu": 0.42},
        "language_beam": {"beam_50_ms": 9.0, "beam_256_ms": 17.7},
        "language_training": {"0.5B": {"mfu": 0.2}, "3B": {"mfu": 0.34}},
        "embedding": {"texts_of_64": {"tokens_per_second": 700_000.0, "mfu": None}},
        "trie": {"error": "RuntimeError"},
    }
    bars = judged(results)
    assert {name: each["met"] for name, each in bars.items()} == {
        "uqf.mfu": False,
        "uqf.compiled_mfu": True,
        "language_beam.beam_256_ms": False,
        "language_training.0.5B.mfu": True,
        "language_training.3B.mfu": False,
        "embedding.texts_of_64.tokens_per_second": True,
    }
    facts = {"device": "NVIDIA H100", "torch": "2"}
    page = command.table({"machine": facts, "tiny": False, "results": results, "bars": bars, "skipped": []})
    assert "| beam_256_ms | 17.7 | at most 17.6: FAIL |" in page
    assert "| beam_50_ms | 9 |  |" in page
    assert "| compiled_mfu | 0.42 | at least 0.4: pass |" in page


def test_every_bar_is_of_a_figure_that_is_measured():
    assert {name.split(".")[0] for name in BARS} <= set(TIMES)
    assert {f"beam_{width}_ms" for width in FULL.beams} >= {"beam_256_ms"}
    assert {f"texts_of_{length}" for length in FULL.texts} == {n.split(".")[1] for n in BARS if "texts" in n}
    assert set(FULL.languages) <= {"0.5B", "1.5B", "3B"}


def test_a_check_sees_what_differs(tmp_path, monkeypatch):
    """Propagation with another number of layers on the second call is not equal to the first."""
    layers = iter([3, 2])
    real = equal.mean_over_layers
    monkeypatch.setattr(equal, "mean_over_layers", lambda graph, vectors, _: real(graph, vectors, next(layers)))
    assert equal.propagation(torch.device("cpu")) > 0.01
    monkeypatch.setitem(equal.CHECKS, "propagation", (lambda device: 1.0, 0.5))
    for name in [name for name in equal.CHECKS if name != "propagation"]:
        monkeypatch.delitem(equal.CHECKS, name)
    assert run(tmp_path, "--only", "checks")[0] == 1


def test_operations_and_shares_are_counted_right(monkeypatch):
    left, right = torch.randn(8, 16), torch.randn(16, 4)
    assert operations_of(lambda: left @ right) == 2 * 8 * 16 * 4
    monkeypatch.setattr(Device, "name", "NVIDIA H100 80GB HBM3")
    device = Device(torch.device("cpu"))
    assert device.share_of_peak(989e12, 2.0) == pytest.approx(0.5)
    assert device.share_of_bandwidth(3.35e12, 1.0) == pytest.approx(1.0)
    monkeypatch.setattr(Device, "name", "something")
    assert device.share_of_peak(1.0, 1.0) is None
