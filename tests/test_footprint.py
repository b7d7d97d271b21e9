"""The memory that work holds, and the machine that it is done on."""

import subprocess
import sys

import pytest
import torch

from tests.three_stages import CODES, Recipe, run, use_small_stages
from unisid import footprint, planning
from unisid.artifacts.record import read_record
from unisid.artifacts.store import Place, Store
from unisid.compute import Pool
from unisid.report.described import description
from unisid.runtime.checkpoints import Checkpoints
from unisid.runtime.local import LocalCompute, Member

BLOCK = 64 << 20


HOLDS = f"""
import numpy as np
from unisid import footprint
with footprint.watched(seconds=0.01) as held:
    block = np.ones({BLOCK}, np.uint8)
    while held.peak - held.before < 0.9 * {BLOCK}:
        pass
    del block
print(held.peak - held.before, footprint.held() - held.before)
"""


def test_the_peak_is_what_was_held_in_between():
    """In a process of its own: what this one began before, such as Ray, comes and goes meanwhile."""
    done = subprocess.run([sys.executable, "-c", HOLDS], capture_output=True, text=True, check=True, timeout=120)
    peak, after = map(int, done.stdout.split())
    assert 0.9 * BLOCK <= peak < 3 * BLOCK
    assert after < BLOCK / 2


BEGINS = f"""
import subprocess, sys
from unisid import footprint
before, program = footprint.held(), "kept = b'x' * {BLOCK}; print(len(kept), flush=True); input()"
with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
    child.stdout.readline()
    print(footprint.held() - before)
    child.communicate(b"\\n")
"""


def test_processes_that_it_began_are_counted():
    done = subprocess.run([sys.executable, "-c", BEGINS], capture_output=True, text=True, check=True, timeout=120)
    assert 0.9 * BLOCK < int(done.stdout) < 3 * BLOCK


def test_an_error_of_the_work_ends_the_watch():
    with pytest.raises(KeyError), footprint.watched(seconds=0.01):
        raise KeyError("work")


def test_a_machine_has_its_gpus_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(footprint, "DRIVER", tmp_path)
    assert footprint.machine().count(", ") == 2
    for name, text in (("0", "Model: \t\t NVIDIA H200\nIRQ: 7\n"), ("1", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "information").write_text(text)
    assert footprint.machine().endswith(" GiB, NVIDIA H200, a GPU")


def test_a_record_has_what_was_held_and_where(place, monkeypatch):
    use_small_stages(monkeypatch)
    run(Store(place), Recipe())
    record = read_record(Store(place).place(CODES))
    assert record.machine == footprint.machine()
    assert 0 < record.memory["before"] <= record.memory["peak"]
    assert f"B at most, on {record.machine}" in description(Store(place).place(CODES), record)


def test_what_a_cluster_held_is_not_known(place, monkeypatch):
    use_small_stages(monkeypatch)
    monkeypatch.setattr(LocalCompute, "here", False)
    run(Store(place), Recipe())
    record = read_record(Store(place).place(CODES))
    assert (record.machine, record.memory) == (footprint.CLUSTER, {})


def test_the_most_of_a_gpu_that_a_training_reports_is_kept(place, monkeypatch):
    use_small_stages(monkeypatch)
    stage = planning.STAGES["codes"]

    def make(job):
        for peak in (5.0, 7.0, 6.0):
            job.report({"loss": 1.0, "device_memory": peak})
        return made(job)

    made, stage.make = stage.make, make
    run(Store(place), Recipe())
    assert read_record(Store(place).place(CODES)).memory["device"] == 7


def test_a_worker_reports_what_its_tensors_took_of_a_gpu(tmp_path, monkeypatch):
    """Of a GPU that is not there: what torch would say of it is put in its place."""
    told, forgotten = [], []
    monkeypatch.setattr(Pool, "device", lambda self: torch.device("cuda", 0))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", forgotten.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 7 << 30)
    threads = torch.get_num_threads()
    try:
        member = Member(Pool(), {}, Checkpoints(Place.of(tmp_path), "fit"), None, lambda _, said: told.append(said))
    finally:
        torch.set_num_threads(threads)
    member.report({"loss": 0.5})
    assert told == [{"loss": 0.5, "device_memory": float(7 << 30)}]
    assert forgotten == [torch.device("cuda", 0)]
