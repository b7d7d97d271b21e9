"""The newest of a noun: whatever the clock says."""

import dataclasses
import itertools

import pytest

from unisid.artifacts.order import COUNT, newest
from unisid.artifacts.record import Record, read_record, write_record
from unisid.artifacts.store import Address, Store


def completed(store, text, created, seed=0, **inputs):
    """One more artifact of a store; `inputs` are what it is made from, role by role."""
    place = store.place(Address.parse(text))
    entries = {role: {"address": r.address, "fingerprint": r.fingerprint} for role, r in inputs.items()}
    write_record(place, Record(address=text, config={"seed": seed}, inputs=entries, created=created))
    return read_record(place)


def newest_of(store):
    return str(newest({address: read_record(store.place(address)) for address in store.addresses("codes")}))


@pytest.mark.parametrize("where", ["disk", "memory"])
def test_a_clock_that_went_back_changes_nothing(place, where):
    store = Store(place if where == "disk" else type(place)("memory://unisid-order"))
    names = ("codes/b/1", "codes/a/1", "codes/c/2", "codes/a/2")
    for number, text in enumerate(names):
        completed(store, text, f"2026-01-0{9 - number}T00:00:00+00:00", number)
        assert newest_of(store) == text
    assert [read_record(store.place(Address.parse(text))).order for text in names] == [1, 2, 3, 4]
    store.root.clear()


@pytest.mark.parametrize("count", [None, b"", b"x", b"\xff"])
def test_a_lost_count_goes_on_from_the_records(place, count):
    store = Store(place)
    for number in range(3):
        completed(store, f"codes/a/{number}", "2026-01-01", number)
    if count is None:
        (place / "codes").remove(COUNT)
    else:
        (place / "codes").write(COUNT, count)
    assert completed(store, "codes/b/1", "2020-01-01", 9).order == 4


def test_every_noun_has_its_own_count_and_it_is_no_artifact(place):
    store = Store(place)
    assert [completed(store, text, "").order for text in ("codes/a/1", "fused/a/1")] == [1, 1]
    assert sorted(map(str, store.addresses())) == ["codes/a/1", "fused/a/1"]


def test_what_another_was_made_from_is_older(place):
    """Even where it was made again later: version 2 extends version 1."""
    store = Store(place)
    first = completed(store, "codes/a/1", "2026-01-01")
    completed(store, "codes/a/2", "2026-01-02", 1, base=first)
    completed(store, "codes/a/1", "2026-01-03")
    assert newest_of(store) == "codes/a/2"


def old(text, created, seed=0):
    return Address.parse(text), Record(address=text, config={"seed": seed}, inputs={}, created=created)


@pytest.mark.parametrize(
    "records",
    [
        (old("codes/a/1", "2026-01-01T00:00:00+00:00"), old("codes/b/1", "2026-01-01T00:00:00.5+00:00")),
        (old("codes/a/1", "2026-01-01T09:00:00+09:00"), old("codes/b/1", "2026-01-01T00:00:01+00:00")),
        (old("codes/a/9", "2026-01-01"), old("codes/a/10", "2026-01-01")),
        (old("codes/a/1", "some day"), old("codes/b/1", "2001-01-01")),
        (old("codes/a/1", ""), old("codes/a/2", "")),
    ],
)
def test_without_a_count_the_time_decides_then_the_version(records):
    wanted = records[-1][0]
    for some in itertools.permutations(records):
        assert newest(dict(some)) == wanted


def test_what_has_a_count_is_newer_than_what_has_none(place):
    (first, before), (second, after) = old("codes/a/1", "2030-01-01"), old("codes/a/2", "2026-01-01", 1)
    assert newest({first: before, second: dataclasses.replace(after, order=1)}) == second
