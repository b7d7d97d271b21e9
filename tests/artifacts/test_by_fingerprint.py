"""An artifact is found by its fingerprint in a few requests, whatever the store holds and whatever became of it."""

import pytest

from unisid.artifacts.by_fingerprint import FOLDER
from unisid.artifacts.record import RECORD, Record, find, write_record
from unisid.artifacts.store import Address, Place, Store
from unisid.errors import ArtifactError


def complete(store: Store, address: str, seed: int, file: bytes = b"x") -> str:
    """An artifact of one file; returns its fingerprint."""
    place = store.place(Address.parse(address))
    place.write("data.bin", file)
    record = Record(address=address, config={"seed": seed}, inputs={}, files={"data.bin": len(file)})
    write_record(place, record)
    return record.fingerprint


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    return Store(Place.of(tmp_path if request.param == "disk" else f"memory://by-fingerprint-{tmp_path.name}"))


@pytest.fixture
def requests(monkeypatch):
    """What is asked of the file system from now on, one word a request."""
    found: list[str] = []
    for name in ("exists", "read", "_entries", "stamp", "open", "remove", "write"):
        plain = getattr(Place, name)

        def counted(self, *args, plain=plain, name=name):
            found.append(f"{name} {self.name} {args}")
            return plain(self, *args)

        monkeypatch.setattr(Place, name, counted)
    return found


def test_it_is_found_in_as_many_requests_in_a_large_store_as_in_a_small_one(store, requests):
    spent = {}
    for count in (3, 60):
        wanted = [complete(store, f"codes/c{number}/1", number) for number in range(count)][1]
        assert find(store, "codes", wanted) == Address("codes", "c1", "1")
        assert find(store, "codes", "0" * 64) is None  # all artifacts are looked through, once
        requests.clear()
        assert find(store, "codes", wanted) == Address("codes", "c1", "1")
        assert find(store, "codes", "0" * 64) is None
        assert find(store, "fused", "0" * 64) is None
        spent[count] = len(requests)
    assert spent[60] == spent[3] <= 12


def test_a_store_from_before_there_were_entries_is_looked_through_once(store, requests):
    fingerprints = [complete(store, f"codes/c{number}/1", number) for number in range(20)]
    (store.root / FOLDER).clear()
    assert find(store, "codes", fingerprints[7]) == Address("codes", "c7", "1")
    for number, fingerprint in enumerate(fingerprints):
        requests.clear()
        assert find(store, "codes", fingerprint) == Address("codes", f"c{number}", "1")
        assert len(requests) <= 5
    assert find(store, "codes", "0" * 64) is None


def test_what_stands_at_an_address_decides_and_not_the_entry(store):
    first, again = complete(store, "codes/a/1", 1), complete(store, "codes/b/1", 1)
    assert first == again
    assert find(store, "codes", first) == Address("codes", "a", "1")
    store.place(Address.parse("codes/a/1")).clear()
    other = complete(store, "codes/a/1", 2)
    for _ in range(2):
        assert find(store, "codes", first) == Address("codes", "b", "1")
        assert find(store, "codes", other) == Address("codes", "a", "1")
    folder = store.root / FOLDER / "codes" / first
    assert list(folder.sizes()) == ["b@1"]  # the entry that was wrong is gone
    store.place(Address.parse("codes/b/1")).write("data.bin", b"longer")
    assert find(store, "codes", first) is None
    store.place(Address.parse("codes/b/1")).clear()
    assert find(store, "codes", first) is None
    complete(store, "codes/b/1", 1)
    assert find(store, "codes", first) == Address("codes", "b", "1")


def test_what_is_not_complete_yet_keeps_its_entry(store):
    fingerprint = complete(store, "codes/a/1", 1)
    find(store, "codes", "0" * 64)
    place = store.place(Address.parse("codes/a/1"))
    record = place.read(RECORD)
    place.remove(RECORD)
    assert find(store, "codes", fingerprint) is None
    place.write(RECORD, record)
    assert find(store, "codes", fingerprint) == Address("codes", "a", "1")


def test_a_store_that_cannot_be_written_is_read_all_the_same(store, monkeypatch):
    fingerprint = complete(store, "codes/a/1", 1)
    (store.root / FOLDER).clear()

    def refused(self, name, data):
        raise ArtifactError(f"{self}/{name}: read-only")

    monkeypatch.setattr(Place, "write", refused)
    assert find(store, "codes", fingerprint) == Address("codes", "a", "1")
    assert find(store, "codes", "0" * 64) is None
    assert not store.root.exists(FOLDER)


def test_looking_into_an_empty_store_leaves_nothing_there(store):
    assert find(store, "codes", "0" * 64) is None
    assert not store.root.exists(FOLDER)
