"""Every file of an artifact beside its record: whole, by size alone, changed, lost, or not to be read."""

import pytest

from unisid.artifacts import verify as verifying
from unisid.artifacts.record import RECORD, Record, read_record, write_record
from unisid.artifacts.verify import verify


@pytest.fixture
def artifact(place):
    for name, data in (("a.bin", b"first"), ("b.bin", b"second")):
        with place.writing(name) as stream:
            stream.write(data)
    write_record(place, Record(address="codes/t/1", config={}, inputs={}, files=place.sizes()))
    return place


def test_a_whole_artifact(artifact):
    found = verify(artifact)
    assert (found.files, found.size, found.unsummed, found.state) == (2, 11, 0, "whole")
    assert not found.damaged


def test_without_a_record_it_is_half_made(place):
    place.write("a.bin", b"first")
    assert (verify(place).state, verify(place).damaged) == ("half made", False)


def test_a_changed_byte_is_named_and_a_lost_one_too(artifact):
    artifact.write("a.bin", b"FIRST")
    artifact.forget_sums()
    assert read_record(artifact).sums.keys() == {"a.bin", "b.bin"}
    found = verify(artifact)
    assert (found.state, found.damaged) == ("damaged: a.bin: changed since they were written", True)
    artifact.write("a.bin", b"firs")
    assert verify(artifact).damaged
    assert "a.bin" in verify(artifact).state


def test_checksums_of_another_kind_are_compared_by_size_alone(artifact, monkeypatch):
    monkeypatch.setattr(verifying, "known", lambda text: False)
    artifact.write("a.bin", b"FIRST")
    artifact.forget_sums()
    found = verify(artifact)
    assert (found.state, found.unsummed) == ("whole by size; 2 files have no checksum", 2)


def test_what_a_newer_version_wrote_is_not_called_damaged(artifact):
    artifact.write(RECORD, b'{"format": 99, "code_version": "9"}')
    found = verify(artifact)
    assert (found.unreadable, found.damaged) == (True, False)
    assert found.state.startswith("cannot be read: ")
    artifact.write(RECORD, b"{")
    assert (verify(artifact).unreadable, verify(artifact).damaged) == (False, True)
