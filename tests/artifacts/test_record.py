"""The record: completeness, fingerprints, damage."""

import json

import pytest

from unisid.artifacts.record import RECORD, Record, find, read_record, require, write_record
from unisid.artifacts.store import Address, Store
from unisid.errors import ArtifactError


def record(**changes):
    base = {
        "address": "codes/a/1",
        "config": {"levels": 3},
        "inputs": {"fused": {"address": "fused/a/1", "fingerprint": "f"}},
    }
    return Record(**(base | changes))


def test_its_presence_is_completeness(place):
    place.write("items.bin", b"1234")
    assert read_record(place) is None
    with pytest.raises(ArtifactError, match="no complete codes here"):
        require(place, "codes")
    write_record(place, record(files=place.sizes()))
    assert require(place, "codes") == record(files={"items.bin": 4})


def test_the_fingerprint_follows_settings_and_inputs_not_addresses():
    elsewhere = {"fused": {"address": "fused/other/7", "fingerprint": "f"}}
    assert record(inputs=elsewhere, address="codes/b/9").fingerprint == record().fingerprint
    assert record(config={"levels": 4}).fingerprint != record().fingerprint
    assert record(inputs={"fused": {"address": "fused/a/1", "fingerprint": "g"}}).fingerprint != record().fingerprint
    assert record(address="fused/a/1").fingerprint != record().fingerprint
    assert record(seconds=9.0, counts={"n": 1}).fingerprint == record().fingerprint


def test_a_truncated_file_is_named(place):
    place.write("items.bin", b"1234")
    write_record(place, record(files=place.sizes()))
    place.write("items.bin", b"12")
    with pytest.raises(ArtifactError, match=r"items.bin: has 2 bytes, its record says 4: the file is truncated"):
        require(place, "codes")


def test_another_noun_is_refused(place):
    write_record(place, record())
    with pytest.raises(ArtifactError, match="is codes, not model"):
        require(place, "model")


def test_an_edited_record_is_refused(place):
    write_record(place, record())
    body = json.loads(place.read(RECORD))
    body["config"]["levels"] = 5
    place.write(RECORD, json.dumps(body).encode())
    with pytest.raises(ArtifactError, match="does not match its contents"):
        read_record(place)
    place.write(RECORD, b"{")
    with pytest.raises(ArtifactError, match="is not a record"):
        read_record(place)


def test_equal_fingerprints_are_found_under_any_name(place):
    store = Store(place)
    write_record(store.place(Address.parse("codes/a/1")), record())
    assert find(store, "codes", record().fingerprint) == Address("codes", "a", "1")
    assert find(store, "codes", "0" * 64) is None
