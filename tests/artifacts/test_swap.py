"""A small file that many change: of changes from the same state one succeeds, on every kind of store."""

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tests.artifacts.failing_disks import Brittle
from unisid.artifacts import swap
from unisid.artifacts.store import Place
from unisid.artifacts.swap import Swap, exclusive
from unisid.errors import ArtifactError


@pytest.fixture(params=["disk", "memory"])
def file(request, tmp_path, monkeypatch):
    monkeypatch.setattr(swap, "SETTLE_SECONDS", 0.0)
    Brittle.allow()
    place = Place.of(tmp_path if request.param == "disk" else f"brittle://swap-{tmp_path.name}")
    yield Swap(place, "x.json")
    place.clear()


def test_a_change_is_made_from_the_state_that_it_names_alone(file):
    assert file.read() is None
    assert not file.swap(b"a", b"b"), "there is nothing yet"
    assert file.swap(None, b"a,1")
    assert not file.swap(None, b"other"), "it is there already"
    assert file.swap(b"a,1", b"a,2")
    assert not file.swap(b"a,1", b"b"), "it has changed since"
    assert file.read() == b"a,2"
    assert file.swap(b"a,2", b"b,1"), "another owner's"
    assert file.swap(b"b,1", None)
    assert file.read() is None


def test_a_store_that_cannot_create_exclusively_is_read_back(file, monkeypatch):
    def refuse(self, path, value, mode="overwrite", **more):
        if mode == "create":
            raise ValueError("no such mode")
        return real(self, path, value, **more)

    real = MemoryFileSystem.pipe_file
    monkeypatch.setattr(MemoryFileSystem, "pipe_file", refuse)
    assert file.swap(None, b"a")
    assert file.read() == b"a"


def test_what_counts_is_what_is_read_afterwards(tmp_path, monkeypatch):
    """The answer of a write was lost, and the write was not."""
    Brittle.allow()
    file = Swap(Place.of(f"brittle://swapped-{tmp_path.name}"), "x.json")
    real = MemoryFileSystem.pipe_file

    def lose(self, path, value, **more):
        real(self, path, value)
        raise OSError("connection reset")

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", lose)
    assert file.swap(None, b"a")
    file.folder.clear()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    Brittle.allow()
    file = Swap(Place.of(f"brittle://refused-{tmp_path.name}"), "x.json")
    with Brittle.read_only(), pytest.raises(ArtifactError, match="x.json: cannot be written"):
        file.swap(None, b"a")
    in_the_way = tmp_path / "file"
    in_the_way.write_bytes(b"")
    with (
        pytest.raises(ArtifactError, match="lock: cannot be written.*or another place for the store"),
        exclusive(in_the_way),
    ):
        pass


def test_one_at_a_time_is_inside(tmp_path):
    from filelock import FileLock, Timeout

    with exclusive(tmp_path / "folder", "one"), pytest.raises(Timeout):
        FileLock(str(tmp_path / "folder" / "one")).acquire(timeout=0)
    FileLock(str(tmp_path / "folder" / "one")).acquire(timeout=0).lock.release()
