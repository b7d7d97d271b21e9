"""The record: completeness, fingerprints, damage."""

import json
import re

import pytest

from unisid.artifacts import record_json
from unisid.artifacts.record import RECORD, Record, find, read_record, require, write_record
from unisid.artifacts.store import Address, Store
from unisid.errors import ArtifactError, UnreadableError
from unisid.evaluation import index, measures


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


def edited(place, **changes):
    """The record of a whole artifact edited by hand; `...` takes a field out. Returns its text."""
    write_record(place, record(files={}, counts={"sizes": [3, 4]}, created="2026-01-02T03:04:05+00:00"))
    body = json.loads(place.read(RECORD)) | changes
    text = json.dumps({name: value for name, value in body.items() if value is not ...})
    place.write(RECORD, text.encode())
    return text


FUSED = {"address": "fused/a/1", "fingerprint": "f"}
BY_HAND = [
    *(
        {name: value}
        for name in (
            "address",
            "config",
            "inputs",
            "counts",
            "files",
            "sums",
            "order",
            "code_version",
            "seconds",
            "created",
            "runtime",
            "format",
            "fingerprint",
            "seal",
        )
        for value in (None, True, [1], [{}], 1.5e300 if name != "seconds" else "x")
    ),
    *({name: ...} for name in ("address", "config", "inputs", "fingerprint", "sums", "order")),
    *(
        {"address": value}
        for value in (
            "",
            "codes",
            "codes/a",
            "code/a/1",
            "codes/../1",
            "codes/a/1/",
            "model/a/1",
            "codes/a/2",
            "\ud800/a/1",
            7,
        )
    ),
    *({"counts": value} for value in ({}, {"sizes": [3, 5]}, {"sizes": [10**40]}, {"sizes": float("nan")})),
    *({"seconds": value} for value in (float("nan"), float("inf"), -1, 10**30)),
    *({"files": value} for value in ({"x": "1"}, {"x": -1}, {"x": 1.0}, {"x": True}, {"../x": 1}, {"x": 10**25})),
    *({"sums": value} for value in ({"x": "crc32:00000000"}, {"x": 1})),
    *(
        {"inputs": value}
        for value in (
            {"fused": None},
            {"fused": "f"},
            {"fused": {}},
            {"fused": FUSED | {"address": 1}},
            {"fused": FUSED | {"fingerprint": None}},
            {"fused": FUSED | {"address": "x"}},
            {"fused": FUSED | {"address": "fused/a/2"}},
            {"fused": [FUSED]},
            {},
        )
    ),
    *({"config": value} for value in ({"levels": float("nan")}, {"levels": "3"}, {"levels": 3.5}, {"levels": 10**60})),
    {"runtime": {"a": {"b": "\ud800"}}},
    {"seal": "crc32:00000000"},
    {"seal": ""},
    {"order": 10**30},
    {"order": 2},
    {"format": -1, "config": []},
]


@pytest.mark.parametrize("changes", BY_HAND, ids=lambda changes: str(changes)[:60].encode("ascii", "replace").decode())
def test_a_record_edited_by_hand_is_refused_in_words(place, changes):
    here = Store(place).place(Address.parse("codes/a/1"))
    edited(here, **changes)
    with pytest.raises(ArtifactError, match=r"(?s)codes/a/1/record.json: .*unisid drop codes/a/1, then run its recipe"):
        read_record(here)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 5000 + "1" + "}" * 5000, "9" * 5000, "\xff", "NaN", '"', ""])
def test_text_that_no_record_has_is_refused(place, text):
    place.write(RECORD, text.encode("latin-1"))
    with pytest.raises(ArtifactError, match="is not a record"):
        read_record(place)


def test_a_deep_record_is_refused(place):
    deep: dict = {}
    for _ in range(200):
        deep = {"a": deep}
    edited(place, runtime=deep)
    with pytest.raises(ArtifactError, match="nested more than 100 levels deep"):
        read_record(place)


def test_what_a_newer_version_says_besides_is_kept(place):
    edited(place, owner={"team": ["a"]}, later=3)
    found = require(place, "codes")
    assert found.further == {"owner": {"team": ["a"]}, "later": 3}
    assert found.fingerprint == record().fingerprint
    write_record(place, found)
    assert json.loads(place.read(RECORD))["owner"] == {"team": ["a"]}


def test_a_record_without_what_came_later_is_read(place):
    """As the first versions wrote it."""
    edited(place, sums=..., order=..., seal=..., format=..., further=...)
    found = require(place, "codes")
    assert (found.sums, found.order, found.format) == ({}, 0, 1)
    assert found.counts == {"sizes": [3, 4]}


def test_a_newer_format_is_said_and_nothing_is_to_be_removed(place):
    edited(place, format=2, code_version="9.1", config=["of", "another", "shape"])
    with pytest.raises(UnreadableError) as told:
        read_record(place)
    assert "has format 2, of unisid 9.1; this version reads formats up to 1. Nothing is damaged" in str(told.value)
    assert not re.search("drop|delete|remove|anew", str(told.value))


def test_a_raised_format_leaves_what_exists_as_it_is(place, monkeypatch):
    write_record(place, record())
    before = require(place, "codes").fingerprint
    monkeypatch.setattr(record_json, "FORMAT", 7)
    assert require(place, "codes").fingerprint == before == record().fingerprint


def test_numbers_of_a_record_are_whole(place):
    for value in (None, "3", 2.5, True, -1, [3]):
        with pytest.raises(
            ArtifactError, match=rf"codes/a/1/record.json: counts.rows is {re.escape(repr(value))}, must be"
        ):
            record(counts={"rows": value}).count("rows")
        with pytest.raises(ArtifactError, match="config.levels is"):
            record(config={"levels": value}).setting("levels")
    assert record(counts={"rows": 3}).count("rows") == 3


def test_figures_that_are_missing_or_of_another_kind_are_an_error_of_the_artifact():
    held = record(counts={"quality": {"entropy": [0.5, 1], "distinct": 0.25, "flag": True, "words": ["a"]}})
    assert held.figure("quality", "distinct") == 0.25
    assert held.figures("quality", "entropy") == [0.5, 1]
    assert held.part("quality")["flag"] is True
    for read in (held.figure, held.figures, held.part):
        for path in (("quality", "gone"), ("gone", "distinct"), ("quality", "distinct", "gone"), ("quality", "flag")):
            with pytest.raises(
                ArtifactError, match=rf"record.json: counts.{'.'.join(path)} is .*, must be .*; make it"
            ):
                read(*path)
    with pytest.raises(ArtifactError, match=r"counts.quality.words is \['a'\], must be numbers"):
        held.figures("quality", "words")


@pytest.mark.parametrize("counts", [{}, {"quality": {}}, {"quality": 3}])
def test_a_record_without_its_figures_is_an_error_wherever_they_are_read(place, counts):
    bare = record(counts=counts)
    for read in (index.recorded, lambda bare: measures.of_index(Store(place), bare)):
        with pytest.raises(
            ArtifactError, match=r"codes/a/1/record.json: counts.quality.distinct_share is None, must be"
        ):
            read(bare)
    write_record(place, record(address="model/a/1", files={}, counts=counts))
    with pytest.raises(ArtifactError, match=r"model/a/1/record.json: counts.valid_ndcg_10 is None, must be a number"):
        measures.of_model(place)
