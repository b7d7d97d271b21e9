"""The accelerator's benchmark runs from end to end at tiny sizes, says what fails, and its checks see differences."""

import json

import pytest
import torch

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import equal
from benchmarks.gpu.hardware import Device, operations_of
from benchmarks.gpu.times import TIMES


def run(folder, *words):
    """The exit code and what was written."""
    code = command.main(["--tiny", "--out", str(folder), *words])
    [path] = folder.glob("*-tiny.json")
    return code, json.loads(path.read_text())


def test_all_of_it_runs(tmp_path, capsys):
    code, found = run(tmp_path)
    assert code == 0
    assert set(found["results"]) == {"checks", *TIMES}
    assert all(check["equal"] for check in found["results"]["checks"].values())
    assert found["results"]["uqf"]["items_per_second"] > 0
    [page] = tmp_path.glob("*-tiny.md")
    assert page.read_text().strip() in capsys.readouterr().out


def test_a_section_that_fails_is_recorded_and_the_others_go_on(tmp_path, monkeypatch):
    def broken(device, size):
        raise RuntimeError("out of memory")

    monkeypatch.setitem(command.TIMES, "graph", broken)
    code, found = run(tmp_path, "--only", "graph", "trie")
    assert code == 1
    assert found["results"]["graph"] == {"error": "RuntimeError: out of memory"}
    assert found["results"]["trie"]["step_ms"] > 0


def test_sections_without_time_are_named(tmp_path):
    code, found = run(tmp_path, "--seconds", "-1", "--only", "trie", "graph")
    assert (code, found["results"], found["skipped"]) == (0, {}, ["trie", "graph"])


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
