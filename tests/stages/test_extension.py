"""What an artifact is extended from: found by its address, held to its fingerprint, its files taken over."""

import numpy as np
import pytest

from unisid.artifacts.record import RECORD, Record, read_record, write_record
from unisid.artifacts.shards import Shards, shard_parts, write_array
from unisid.artifacts.store import Address, Store
from unisid.errors import ArtifactError, ConfigError
from unisid.stages.extension import Base, base_of, further_parts, take_over, take_shards


@pytest.fixture
def store(place) -> Store:
    store = Store(place)
    at = store.place(Address("codes", "a", "1"))
    write_array(at, "v", {"x": np.arange(10.0)}, shard_rows=4)
    write_record(at, Record(address="codes/a/1", config={"n": 1}, inputs={}, files=at.sizes()))
    return store


def test_a_base_is_found_by_its_address_and_opened(store):
    at = store.place(Address("codes", "a", "1"))
    found = Base.parse("codes/a/1").found(store, "codes")
    assert found == Base.of(at, "codes")
    assert found.source() == {"address": "codes/a/1", "fingerprint": read_record(at).fingerprint}
    assert found.found(store, "codes") is found
    assert found.open("codes") == at
    named = Base(fingerprint="f", address="codes/a/1").found(store, "codes")
    assert (named.fingerprint, named.place) == ("f", at.uri)


def test_another_that_took_its_place_is_refused(store):
    at = store.place(Address("codes", "a", "1"))
    base = Base.of(at, "codes")
    at.remove(RECORD)
    write_record(at, Record(address="codes/a/1", config={"n": 2}, inputs={}, files=at.sizes()))
    now = read_record(at).fingerprint
    with pytest.raises(
        ArtifactError, match=f"has the fingerprint {now[:12]}, {base.fingerprint[:12]} is to be gone on"
    ):
        base.open("codes")


def test_a_base_must_be_named_and_there(store):
    with pytest.raises(ConfigError, match="the settings name no base to go on from; give the address of one"):
        base_of(None)
    with pytest.raises(ConfigError, match="must be noun/name/version"):
        Base.parse("codes")
    with pytest.raises(ArtifactError):
        Base.parse("codes/none/1").found(store, "codes")


def test_files_are_taken_over_once_and_damage_is_not_handed_on(store):
    at, out = store.place(Address("codes", "a", "1")), store.root / "out"
    first, *_, last = sorted(at.sizes())
    assert first != last
    take_shards(at, out, "v")
    names = sorted(name for name in at.sizes() if name.startswith("v-"))
    assert sorted(out.sizes()) == names
    assert all(out.read(name) == at.read(name) for name in names)
    out.write(names[0], b"own")
    take_over(at, out, names)
    assert out.read(names[0]) == b"own", "what is there stays"
    at.write(names[1], b"x" * at.sizes()[names[1]])
    with pytest.raises(ArtifactError, match=names[1]):
        take_over(at, store.root / "other", names)


@pytest.mark.parametrize("rows", [10, 11, 18, 23])
def test_further_rows_are_cut_after_the_bases_and_made_once(store, rows):
    at, out = store.place(Address("codes", "a", "1")), store.root / "out"
    base = Shards(at, "v")
    parts = further_parts(base, out, rows, 4)
    assert len(parts) == len(shard_parts(rows - 10, 4))
    assert [row for part in parts for row in range(part["start"], part["stop"])] == list(range(10, rows))
    assert [part["shard"] for part in parts] == [3 + number for number in range(len(parts))]
    if parts:
        take_shards(at, out, "v")
        (out).write("v-00003.arrow", b"there already")
        assert further_parts(base, out, rows, 4) == parts[1:]
