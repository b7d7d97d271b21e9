"""One writer: a lease is held by one at a time, ends with its owner, and is never taken from one that lives."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from tests.artifacts.failing_disks import Brittle
from unisid.artifacts import lease, swap
from unisid.artifacts.lease import Owner, holding, owner_of
from unisid.artifacts.store import Place, Store
from unisid.errors import ArtifactError, BusyError


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path, monkeypatch):
    monkeypatch.setattr(swap, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(lease, "POLL_SECONDS", 0.01)
    Brittle.allow()
    yield Store(Place.of(tmp_path if request.param == "disk" else f"brittle://{tmp_path.name}"))
    Place.of(f"brittle://{tmp_path.name}").clear()


def refuse(owner):
    raise BusyError(str(owner))


def hold(store, owner=None, busy=refuse):
    return holding(store, "r", "1", owner or Owner(), busy)


def planted(store, owner):
    (store.root / lease.FOLDER).write("r@1.json", lease._written(owner))


ELSEWHERE = {"on": "another machine", "host": "far", "pid": os.getpid()}


def test_one_at_a_time_holds_it_and_nothing_is_left(store):
    with hold(store, Owner(makes={"codes/r/1": "f"})):
        assert owner_of(store, "r", "1").makes == {"codes/r/1": "f"}
        with pytest.raises(BusyError, match=rf"pid {os.getpid()} on "), hold(store):
            pass
        with holding(store, "r", "2", Owner(), refuse):
            pass
    assert owner_of(store, "r", "1") is None
    assert set((store.root / lease.FOLDER).sizes()) <= {"lock"}
    with hold(store):
        pass


def test_it_is_given_back_whatever_ends_the_work(store):
    with pytest.raises(KeyboardInterrupt), hold(store):
        raise KeyboardInterrupt
    assert owner_of(store, "r", "1") is None


def test_a_waiting_process_goes_on_when_it_is_free(store):
    first, seen = hold(store), []

    def busy(owner):
        seen.append(owner.pid)
        if len(seen) == 3:
            first.__exit__(None, None, None)

    first.__enter__()
    with hold(store, busy=busy):
        assert seen == [os.getpid()] * 3


def test_of_a_dead_process_of_this_machine_it_is_taken_over_at_once(store):
    dead = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    planted(store, Owner(pid=dead.pid, started=lease._started(dead.pid)))
    with pytest.raises(BusyError), hold(store):
        pass
    os.kill(dead.pid, signal.SIGKILL)
    while lease._started(dead.pid) is not None:  # a zombie, for its parent has not waited for it yet
        time.sleep(0.01)
    assert owner_of(store, "r", "1") is None
    with hold(store):
        pass
    dead.wait()


def test_a_number_given_out_again_is_another_process(store):
    planted(store, replace(Owner(), started=1.0))
    with hold(store):
        pass


def test_a_lease_that_this_process_lost_sight_of_is_free(store):
    """What it could not remove when its disk failed does not lock it out."""
    planted(store, Owner())
    with hold(store):
        pass


def test_what_a_dead_process_left_is_cleared_and_nothing_else(store):
    def kept():
        return "r@1.json" in (store.root / lease.FOLDER).sizes()

    lease.clear(store, "r", "1")  # where there is none
    for owner, stays in ((replace(Owner(), started=1.0), False), (Owner(**ELSEWHERE), True)):
        planted(store, owner)
        lease.clear(store, "r", "1")
        assert kept() is stays
    planted(store, replace(Owner(), started=1.0))
    with hold(store):
        lease.clear(store, "r", "1")
        assert owner_of(store, "r", "1") is not None
    assert not kept()


def test_elsewhere_only_silence_frees_it(store, monkeypatch):
    planted(store, Owner(**ELSEWHERE))
    with pytest.raises(BusyError, match="on far"), hold(store):
        pass
    monkeypatch.setattr(lease, "CONFIRM_SECONDS", 0.2)
    planted(store, Owner(**ELSEWHERE, renewed=time.time() - 1000))
    waits = []
    with hold(store, busy=waits.append):
        assert len(waits) >= 2


def test_an_owner_whose_clock_is_behind_keeps_it(store, monkeypatch):
    """Its lease looks expired, but is renewed while it is watched."""
    monkeypatch.setattr(lease, "CONFIRM_SECONDS", 0.3)
    alive = Owner(**ELSEWHERE, renewed=time.time() - 1000)
    planted(store, alive)
    begun = time.monotonic()

    def busy(owner):
        if time.monotonic() - begun > 1.0:
            raise BusyError("still there")
        planted(store, replace(alive, renewed=owner.renewed + 0.01))

    with pytest.raises(BusyError, match="still there"), hold(store, busy=busy):
        pass


def test_it_is_renewed_and_its_loss_is_noticed(store, monkeypatch):
    monkeypatch.setattr(lease, "RENEWED_EVERY", 0.05)
    with hold(store) as held:
        before = owner_of(store, "r", "1").renewed
        deadline = time.monotonic() + 60
        while owner_of(store, "r", "1").renewed <= before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert owner_of(store, "r", "1").renewed > before
        held.check()
        planted(store, Owner(**ELSEWHERE))
        time.sleep(0.2)  # time to renew it, which must not happen
        with pytest.raises(ArtifactError, match=r"taken over by pid \d+ on far"):
            held.check()
    assert owner_of(store, "r", "1").host == "far", "what another took is not removed"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"pid": "x", "token": 3}'])
def test_a_damaged_lease_is_nobodys(store, body):
    (store.root / lease.FOLDER).write("r@1.json", body)
    assert owner_of(store, "r", "1") is None
    with hold(store):
        pass


def test_a_lease_of_a_later_version_is_read(store):
    body = json.loads(lease._written(Owner(**ELSEWHERE))) | {"colour": "red"}
    (store.root / lease.FOLDER).write("r@1.json", json.dumps(body).encode())
    with pytest.raises(BusyError, match="on far"), hold(store):
        pass


def test_readers_are_found(store):
    with hold(store, Owner(reads=["codes/a/1"])):
        (reader,) = lease.readers_of(store, "codes/a/1")
        assert reader.pid == os.getpid()
        assert lease.readers_of(store, "codes/a/2") == []


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_threads_one_is_inside(store, stale, monkeypatch):
    monkeypatch.setattr(swap, "SETTLE_SECONDS", 0.3)
    if stale:
        planted(store, replace(Owner(), started=1.0))
    inside, most = [], []

    def work():
        with hold(store, Owner(), lambda owner: None):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.002)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


def _count(folder, times):
    store = Store(Place.of(folder))
    for _ in range(times):
        with hold(store, Owner(), lambda owner: None):
            file = store.root / "count"
            before = int(file.read("n")) if file.exists("n") else 0
            file.write("n", str(before + 1).encode())


def test_of_many_processes_one_is_inside(tmp_path):
    start = multiprocessing.get_context("spawn")
    processes = [start.Process(target=_count, args=(str(tmp_path), 20)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert Place.of(tmp_path / "count").read("n") == b"80"
