"""A draft: what other settings left half made is not gone on with, and a whole draft becomes the artifact at once."""

import pytest

from unisid.artifacts import draft as drafts
from unisid.artifacts.record import RECORD, Record, read_record, write_record
from unisid.artifacts.store import Address, Place, Store
from unisid.errors import ArtifactError, UnreadableError

ADDRESS = Address("codes", "t", "1")
RECORDED = Record(address=str(ADDRESS), config={"a": 1}, inputs={}, files={"x.bin": 1})
MINE, OTHER = RECORDED.fingerprint, "b" * 64


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    store = Store(Place.of(tmp_path if request.param == "disk" else f"memory://draft-{tmp_path.name}"))
    yield store
    store.root.clear()


def test_what_is_half_made_of_the_same_settings_is_gone_on_with(store):
    begun = drafts.begin(store, ADDRESS, MINE)
    begun.write("x.bin", b"1")
    assert drafts.begin(store, ADDRESS, MINE) == begun
    assert begun.sizes() == {"x.bin": 1}
    other = drafts.begin(store, ADDRESS, OTHER)
    assert (other.sizes(), store.drafts(ADDRESS)) == ({}, [])


def test_half_written_files_are_swept(store):
    begun = drafts.begin(store, ADDRESS, MINE)
    begun.write("x.bin", b"1")
    for name in (".x.bin.123.tmp", ".kept"):
        begun.write(name, b"half")
    drafts.sweep(begun)
    assert begun.hidden() == [".kept"]
    assert begun.sizes() == {"x.bin": 1}


def test_a_draft_becomes_the_artifact_and_nothing_is_left(store):
    begun, target = drafts.begin(store, ADDRESS, MINE), store.place(ADDRESS)
    target.write("left.bin", b"of a run that was ended")
    begun.write("x.bin", b"1")
    (begun / "inside").write("y.bin", b"2")
    write_record(begun, RECORDED)
    drafts.finish(begun, target)
    assert read_record(target).fingerprint == MINE
    assert (target.read("x.bin"), (target / "inside").read("y.bin")) == (b"1", b"2")
    assert not target.exists("left.bin")
    assert store.drafts(ADDRESS) == []


def test_a_record_counts_only_where_it_is_this_drafts_and_whole(store):
    begun = drafts.begin(store, ADDRESS, MINE)
    assert drafts.recorded(begun, MINE) is None
    begun.write("x.bin", b"1")
    write_record(begun, RECORDED)
    assert drafts.recorded(begun, MINE) == read_record(begun)
    assert drafts.recorded(begun, OTHER) is None
    assert not begun.exists(RECORD), "another's is removed"
    write_record(begun, RECORDED)
    begun.remove("x.bin")
    assert drafts.recorded(begun, MINE) is None
    begun.write(RECORD, b'{"format": 99}')
    with pytest.raises(UnreadableError):
        drafts.recorded(begun, MINE)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    store = Store(Place.of(tmp_path))
    begun = drafts.begin(store, ADDRESS, MINE)
    begun.write("x.bin", b"1")
    in_the_way = Place.of(tmp_path / "file" / "t")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ArtifactError, match="free space or rights are needed|cannot be"):
        drafts.finish(begun, in_the_way)
    assert begun.sizes() == {"x.bin": 1}
