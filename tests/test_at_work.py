"""One writer a name and version: who waits, who is refused, and that nothing of another run is counted in."""

import os
import socket
import threading
import time

import pytest

from tests.artifacts.failing_disks import Brittle
from tests.lines import logged
from tests.three_stages import CODES, MADE, Config, Recipe, run, states, use_small_stages
from unisid import at_work, pipeline, planning
from unisid.artifacts import draft, lease
from unisid.artifacts.lease import Owner, holding
from unisid.artifacts.record import require
from unisid.artifacts.store import Address, Place, Store
from unisid.errors import ArtifactError, BusyError, DriftError
from unisid.report.tables import plan_tree
from unisid.runtime.local import LocalCompute

ME = rf"pid {os.getpid()} on {socket.gethostname()}"
ALL = ["catalog", "embeddings", "codes"]


@pytest.fixture(autouse=True)
def small_stages(monkeypatch):
    use_small_stages(monkeypatch)


@pytest.fixture
def store(place, monkeypatch):
    monkeypatch.setattr(lease, "POLL_SECONDS", 0.01)
    return Store(place)


@pytest.fixture
def slow(monkeypatch):
    """Runs that stop inside their embeddings until they are let go."""
    inside, go = threading.Event(), threading.Event()
    true = planning.STAGES["embeddings"].make

    def make(job):
        inside.set()
        assert go.wait(20)
        return true(job)

    monkeypatch.setattr(planning.STAGES["embeddings"], "make", make)

    threads = []

    def begin(store, recipe):
        threads.append(threading.Thread(target=run, args=(store, recipe)))
        threads[-1].start()
        assert inside.wait(20)
        return threads[-1]

    begin.go = go
    yield begin
    go.set()
    for thread in threads:
        thread.join()


def test_the_same_recipe_at_once_is_made_once(store, slow):
    first, said, done = slow(store, Recipe()), [], []

    def again():
        with logged(said):
            done.append(pipeline.run(Recipe(), store, LocalCompute(), pipeline.NullTracker(), "codes"))

    second = threading.Thread(target=again)
    second.start()
    while not said:
        time.sleep(0.01)
    assert done == []
    slow.go.set()
    first.join()
    second.join()
    assert MADE == ALL
    assert done[0]["codes"].read("data") == b"ccec"
    assert said[0].startswith(f"waiting: pid {os.getpid()} on {socket.gethostname()} has been at work on r/1 since 20")
    assert f"kill {os.getpid()}" in said[0]


def test_other_settings_under_the_same_name_are_refused_while_it_is_made(store, slow):
    first = slow(store, Recipe())
    with pytest.raises(DriftError, match=rf"codes/r/1: is being made from other settings .* by {ME}, at work since 20"):
        run(store, Recipe(codes=Config(size=2)))
    slow.go.set()
    first.join()
    assert MADE == ALL
    assert require(store.place(CODES), "codes").config == {"size": 1}


def test_the_plan_shows_who_is_at_work(store, slow):
    first = slow(store, Recipe())
    shown = plan_tree(pipeline.plan(Recipe(), store, "codes"))
    assert f"- embeddings/r/1  at work (pid {os.getpid()} on {socket.gethostname()})" in shown
    assert "+ catalog/r/1     complete" in shown
    slow.go.set()
    first.join()
    assert "at work" not in plan_tree(pipeline.plan(Recipe(), store, "codes"))


def test_what_a_run_makes_or_needs_is_not_dropped(store, slow):
    run(store, Recipe(name="base"), until="catalog")
    first = slow(store, Recipe())
    for address in ("embeddings/r/1", "catalog/base/1"):
        with pytest.raises(BusyError, match=rf"{address}: is in use by {ME}, at work since .*kill {os.getpid()}"):
            pipeline.drop(store, Address.parse(address))
    slow.go.set()
    first.join()
    assert MADE == ALL
    pipeline.drop(store, Address.parse("catalog/base/1"))


def test_a_run_waits_for_a_drop(store, monkeypatch):
    run(store, Recipe())
    clear, said = Place.clear, []

    def slowly(self):
        thread = threading.Thread(target=lambda: said.append(run(store, Recipe())))
        if str(self).endswith("codes/r/1") and not said:
            monkeypatch.setattr(Place, "clear", clear)
            said.append(thread)
            thread.start()
            time.sleep(0.3)
        clear(self)

    monkeypatch.setattr(Place, "clear", slowly)
    pipeline.drop(store, CODES)
    said[0].join()
    assert states(store, Recipe())["codes"] == "complete"
    assert require(store.place(CODES), "codes")


def test_on_a_full_disk_a_drop_needs_no_lease(tmp_path):
    store = Store(Place.of(f"brittle://{tmp_path.name}"))
    Brittle.allow()
    run(store, Recipe())
    made = Brittle._open

    def full(self, path, mode="rb", *rest, **options):
        if "r" not in mode:
            raise OSError(28, "No space left on device")
        return made(self, path, mode, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Brittle, "_open", full)
        pipeline.drop(store, CODES)
    assert states(store, Recipe())["codes"] == "to make"


def test_what_another_run_still_writes_is_not_counted_in(store, monkeypatch):
    """A process of a run that is over goes on writing for a while: it does so where its own settings are made."""
    with pytest.raises(RuntimeError, match="pulled plug"):
        run(store, Recipe(embeddings=Config(fail=True)))
    (orphan,) = store.drafts(Address.parse("embeddings/r/1"))
    true = planning.STAGES["embeddings"].make

    def make(job):
        orphan.write("states-00007.arrow", b"other")
        return true(job)

    monkeypatch.setattr(planning.STAGES["embeddings"], "make", make)
    places, _ = run(store, Recipe(embeddings=Config(size=2)))
    assert sorted(require(places["embeddings"], "embeddings").files) == ["curve.parquet", "data", "part-0"]
    assert not places["embeddings"].exists("states-00007.arrow")
    pipeline.drop(store, Address.parse("embeddings/r/1"))
    assert store.drafts(Address.parse("embeddings/r/1")) == []


def test_a_run_whose_lease_is_taken_over_completes_nothing(store, monkeypatch):
    far = Owner(on="elsewhere", host="far", pid=7)

    def make(job):
        (store.root / lease.FOLDER).write("r@1.json", lease._written(far))
        job.out.write("data", b"x")
        return {}

    monkeypatch.setattr(planning.STAGES["embeddings"], "make", make)
    with pytest.raises(ArtifactError, match=r"lease was taken over by pid 7 on far.*same command goes on"):
        run(store, Recipe())
    assert states(store, Recipe())["embeddings"] == "half made"


def test_what_a_process_of_a_dead_run_writes_on_does_not_stop_a_run(store, monkeypatch):
    """Its folder cannot be removed while it writes; it is at the end."""
    with pytest.raises(RuntimeError, match="pulled plug"):
        run(store, Recipe(embeddings=Config(fail=True)))
    (orphan,) = store.drafts(Address.parse("embeddings/r/1"))
    clear, tries = Place.clear, []

    def busy(self):
        if self == orphan:
            tries.append(self)
            if len(tries) == 1:
                raise ArtifactError("cannot be removed (Directory not empty)")
        clear(self)

    monkeypatch.setattr(Place, "clear", busy)
    places, _ = run(store, Recipe(embeddings=Config(size=2)))
    assert require(places["embeddings"], "embeddings")
    assert len(tries) == 2
    assert store.drafts(Address.parse("embeddings/r/1")) == []


def test_of_a_machine_that_is_gone_other_settings_do_not_matter(store, monkeypatch):
    monkeypatch.setattr(lease, "CONFIRM_SECONDS", 0.2)
    gone = Owner(on="elsewhere", host="far", pid=7, renewed=time.time() - 1000, makes={str(CODES): "other"})
    (store.root / lease.FOLDER).write("r@1.json", lease._written(gone))
    _, said = run(store, Recipe())
    assert said[0].startswith("waiting: pid 7 on far has been at work on r/1")
    assert "silent for 1000 s" in said[0]
    assert MADE == ALL


def test_leftovers_at_the_place_are_cleared(store):
    """What a drop that was ended left, or an earlier version of this program half made."""
    store.place(CODES).write("stray", b"x")
    store.place(CODES).write(".draft.json", b"{}")
    places, _ = run(store, Recipe())
    assert "stray" not in require(places["codes"], "codes").files
    assert sorted(places["codes"].sizes()) == ["curve.parquet", "data", "part-0", "record.json"]
    assert places["codes"].hidden() == []


def test_half_written_files_do_not_stay(store):
    with pytest.raises(RuntimeError, match="pulled plug"):
        run(store, Recipe(embeddings=Config(fail=True)))
    (half,) = store.drafts(Address.parse("embeddings/r/1"))
    half.write(".states.0123.tmp", b"x")
    places, _ = run(store, Recipe())
    assert places["embeddings"].hidden() == []


@pytest.mark.parametrize("uri", ["{}", "memory://{}"])
def test_an_artifact_whose_record_is_written_is_only_given_its_place(tmp_path, monkeypatch, uri):
    store = Store(Place.of(uri.format(tmp_path)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draft, "finish", lambda out, target: (_ for _ in ()).throw(RuntimeError("killed")))
        with pytest.raises(RuntimeError, match="killed"):
            run(store, Recipe(), until="catalog")
    assert states(store, Recipe())["catalog"] == "half made"
    (half,) = store.drafts(Address.parse("catalog/r/1"))
    (half / ".sums").write("left", b"")  # killed before these were removed
    told = []

    class RecordingTracker(pipeline.NullTracker):
        def metrics(self, values):
            told.append(dict(values))

    pipeline.run(Recipe(), store, LocalCompute(), RecordingTracker(), "catalog")
    assert MADE == ["catalog"]
    assert {"loss": 0.5, "step": 3} in told
    assert require(store.place(Address.parse("catalog/r/1")), "catalog").files["data"] == 1
    assert store.drafts(Address.parse("catalog/r/1")) == []
    assert store.place(Address.parse("catalog/r/1")).hidden() == []


def test_a_record_whose_files_are_damaged_is_made_anew(store):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draft, "finish", lambda out, target: (_ for _ in ()).throw(RuntimeError("killed")))
        with pytest.raises(RuntimeError, match="killed"):
            run(store, Recipe(), until="catalog")
    store.drafts(Address.parse("catalog/r/1"))[0].write("data", b"")
    places, _ = run(store, Recipe(), until="catalog")
    assert MADE == ["catalog", "catalog"]
    assert places["catalog"].read("data") == b"c"


def test_the_store_lists_what_is_half_made(store):
    store.draft(Address.parse("codes/r/1.2"), "0" * 64).write("x", b"")
    assert [str(address) for address in store.addresses()] == ["codes/r/1.2"]
    assert [place.name for place in store.drafts(Address.parse("codes/r/1.2"))] == [".1.2.000000000000"]
    assert store.drafts(Address.parse("codes/r/1")) == []
    pipeline.drop(store, Address.parse("codes/r/1.2"))
    assert store.addresses() == []


def test_a_refused_process_holds_nothing(store):
    other = Owner(makes={str(CODES): "other"})
    with holding(store, "r", "1", other, at_work._waiting("r", "1", [])), pytest.raises(DriftError):
        run(store, Recipe())
    assert lease.owner_of(store, "r", "1") is None
    assert set() == lease.HELD
