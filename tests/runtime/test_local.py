"""The plain compute: spawned workers give back what one gives, errors included."""

import os
import signal

import pytest
import torch

from tests.runtime import toy_fit
from unisid.artifacts.store import Place
from unisid.compute import Pool, Step
from unisid.errors import DataError, MachineError
from unisid.runtime.local import LocalCompute

ONE, TWO = Pool(workers=1), Pool(workers=2)


def draw(worker, task):
    worker.report({"rank": worker.rank})
    return torch.rand(3), os.getpid(), worker.size, torch.get_num_threads()


def fail_on_one(worker, rank):
    if worker.rank == rank:
        raise DataError("rows: rank 1 read nothing; must read some")
    worker.all_reduce(torch.ones(1))


def crash(worker, task):
    raise ZeroDivisionError("a fault of the program")


def count(worker, task):
    directory = worker.resume()
    start = int((directory / "n").read_text()) + 1 if directory else 0
    for n in range(start, 5):
        if n == task:
            raise DataError("stopped")
        save = lambda directory, n=n: (directory / "n").write_text(str(n))  # noqa: E731
        worker.report({"n": n}, save if n % 2 else None)
    return start


def fit(train, task, pool, tmp_path, **more):
    return LocalCompute().fit(train, task, name="t", pool=pool, work=Place.of(tmp_path), **more)


def test_a_fit_inside_this_process_leaves_no_trace(tmp_path):
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, pid, size, inside = fit(draw, None, Pool(workers=0, cpus=2), tmp_path)
    assert (pid, size, inside) == (os.getpid(), 1, 2)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
    assert torch.equal(fit(draw, None, ONE, tmp_path)[0], first), "each fit begins from the same random state"


@pytest.mark.slow
def test_spawned_workers_send_tensors_and_reports(tmp_path):
    shown = []
    drawn, pid, size, _ = fit(draw, None, TWO, tmp_path, report=shown.append)
    assert torch.equal(drawn, fit(draw, None, ONE, tmp_path)[0])
    assert (size, shown) == (2, [{"rank": 0}])
    assert pid != os.getpid()


def variable(worker, name):
    return os.environ.get(name), "MASTER_PORT" in os.environ


def test_workers_have_the_environment_of_their_fit(tmp_path, monkeypatch):
    """The server that they are forked from started with an older one."""
    for value in ("first", "second"):
        monkeypatch.setenv("UNISID_OF_A_TEST", value)
        assert fit(variable, "UNISID_OF_A_TEST", TWO, tmp_path / value) == (value, True)
    monkeypatch.delenv("UNISID_OF_A_TEST")
    assert fit(variable, "UNISID_OF_A_TEST", TWO, tmp_path / "gone") == (None, True)


@pytest.mark.slow
def test_an_error_in_any_spawned_worker_comes_out_as_itself(tmp_path):
    with pytest.raises(DataError, match="rank 1 read nothing"):
        fit(fail_on_one, 1, TWO, tmp_path)
    with pytest.raises(torch.multiprocessing.ProcessRaisedException, match="a fault of the program"):
        fit(crash, None, TWO, tmp_path)


def test_an_error_that_cuts_its_peers_off_is_not_taken_for_theirs(tmp_path, monkeypatch):
    """Also where all are over before the first of them is looked at."""
    begin = torch.multiprocessing.start_processes

    class Late:
        def __init__(self, started):
            self.started, self.processes = started, started.processes

        def join(self, timeout):
            for process in self.processes:
                process.join(10)  # one that waits for a lost peer may do so for minutes
            return self.started.join(timeout)

    monkeypatch.setattr(torch.multiprocessing, "start_processes", lambda *args, **more: Late(begin(*args, **more)))
    with pytest.raises(DataError, match="rank 1 read nothing"):
        fit(fail_on_one, 1, TWO, tmp_path)


def test_a_fit_of_the_same_name_resumes(tmp_path):
    with pytest.raises(DataError):
        fit(count, 3, ONE, tmp_path)
    shown = []
    assert fit(count, 99, ONE, tmp_path, report=shown.append) == 2
    assert [m["n"] for m in shown] == [2, 3, 4]


def save_late(worker, task):
    """Commits after its second report only."""
    begun_with = worker.resume()
    worker.report({"n": 0})
    worker.report({"n": 1}, lambda d: (d / "x").touch())
    return begun_with and begun_with.name


def test_a_checkpoint_bears_the_number_of_its_report(tmp_path):
    assert fit(save_late, None, ONE, tmp_path) is None
    assert fit(save_late, None, ONE, tmp_path) == "checkpoint-000001"
    assert fit(save_late, None, ONE, tmp_path) == "checkpoint-000003"


def test_a_map_chains_its_steps():
    steps = Step(toy_fit.make_repeat, ONE), Step(toy_fit.make_only_odd, ONE)
    assert [t["k"].to_pylist() for t in LocalCompute().map([{"n": 4}, {"n": 1}], *steps)] == [[1, 3], []]


def vanish(worker, task):
    if worker.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    worker.all_reduce(torch.ones(1))


@pytest.mark.slow
def test_a_worker_that_is_killed_is_an_error_of_the_machine(tmp_path):
    with pytest.raises(MachineError, match=r"fit 't': a worker was ended by SIGKILL, perhaps for memory; "):
        fit(vanish, None, TWO, tmp_path)
