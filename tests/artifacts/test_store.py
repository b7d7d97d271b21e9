"""Addresses and places: parsing, atomic writes, other file systems, clear errors."""

import gzip

import pytest

from unisid.artifacts.store import Address, Place, Store
from unisid.errors import ArtifactError, ConfigError


def test_an_address_round_trips():
    assert str(Address.parse("codes/beauty/2")) == "codes/beauty/2"
    assert Address.parse("codes/beauty") == Address("codes", "beauty", "1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("code/beauty/1", "did you mean 'codes'"),
        ("codes", "must be noun/name/version"),
        ("codes/a b/1", "must be letters, digits"),
        ("codes/../1", "must be letters, digits"),
    ],
)
def test_a_wrong_address_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        Address.parse(text)


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_a_file_appears_whole_or_not_at_all(tmp_path, kind):
    place = Place.of(tmp_path / "a") if kind == "local" else Place("memory://unisid-test/a")
    place.write("x.bin", b"first")
    with pytest.raises(RuntimeError, match="half-way"), place.writing("x.bin") as stream:  # noqa: PT012
        stream.write(b"sec")
        raise RuntimeError("half-way")
    assert place.read("x.bin") == b"first"
    assert place.sizes() == {"x.bin": 5}
    place.clear()
    assert not place.exists()


@pytest.mark.parametrize("kind", ["local", "memory"])
@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.bz2", "rows.lz4", "rows.zst"])
def test_bytes_are_bytes_whatever_a_files_name_says(tmp_path, kind, name):
    place = Place.of(tmp_path / "a") if kind == "local" else Place(f"memory://unisid-named/{name}")
    data = gzip.compress(b"rows")
    with place.writing(name) as stream:
        stream.write(data)
    assert place.sizes() == {name: len(data)}
    assert (place.read(name), place.mapped(name).read()) == (data, data)
    assert place.checksum(name) == place.sums([name])[name]
    copy = Place.of(tmp_path / "copy")
    copy.take(name, place)
    assert copy.read(name) == data
    assert (place.fetch(tmp_path / "fetched") / name).read_bytes() == data
    place.clear()


def test_an_unwritable_place_says_so(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ArtifactError, match=r"file/x: cannot be written .* free space or rights"):
        Place.of(tmp_path / "file").write("x", b"1")


def test_a_missing_file_is_named(place):
    with pytest.raises(ArtifactError, match="no file 'absent.bin' here"):
        place.read("absent.bin")
    with pytest.raises(ArtifactError, match="no file 'absent.bin' here"):
        place.open("absent.bin")


def test_an_unknown_file_system_is_refused():
    with pytest.raises(ConfigError, match="no file system for 'nosuch://'"):
        Place("nosuch://bucket/x").exists()


def test_the_store_lists_addresses(place):
    store = Store(place)
    for text in ("codes/b/1", "codes/a/2", "catalog/a/1"):
        store.place(Address.parse(text)).write("x", b"")
    assert [str(a) for a in store.addresses()] == ["catalog/a/1", "codes/a/2", "codes/b/1"]
    assert [str(a) for a in store.addresses("catalog")] == ["catalog/a/1"]


def test_a_draft_is_of_its_address(place):
    store, address = Store(place), Address("codes", "a", "1.5")
    draft = store.draft(address, "0123456789abcdef")
    assert (draft.address, store.place(address).address) == (address, address)
    assert Place("/a/1").address is Place("/x").address is None


@pytest.mark.parametrize("path", ["a\0b", "caf\udce9", "s3://bucket/caf\udce9"])
def test_a_path_that_no_file_system_has_is_refused(path):
    with pytest.raises(ConfigError, match="has a zero byte or bytes that are not UTF-8 in it; give one in UTF-8"):
        Place.of(path)


@pytest.mark.parametrize("uri", ["s3://", "s3:///", "memory://?region=x", "file://"])
def test_a_uri_of_nothing_is_refused(uri):
    with pytest.raises(ConfigError, match="names nothing after '://'; give a bucket or a folder"):
        Place.of(uri)
