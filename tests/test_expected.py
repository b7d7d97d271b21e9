"""What making the rest of a plan may take, from records whose times and memory are known."""

import re
from dataclasses import replace

import pytest

from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Address, Store
from unisid.expected import ON_DISK, RECORDS, Expected, Span, expected, lacks_catalog
from unisid.footprint import CLUSTER, machine
from unisid.planned import Planned
from unisid.report.tables import plan_tree

GB = 10**9
FUSED = {"fusion": {"kind": "concat"}, "training": {"epochs": 40}}


def write(store, address, seconds=1.0, counts=None, config=None, catalog="catalog/small/1", **more):
    place = store.place(Address.parse(address))
    inputs = {} if address.startswith("catalog") else {"catalog": {"address": catalog, "fingerprint": "f"}}
    record = Record(address=address, config=config or {}, inputs=inputs, counts=counts or {}, seconds=seconds, **more)
    write_record(place, record)


def planned(address, state="to make", config=None):
    found = Address.parse(address)
    return Planned(found.noun, found, state, "f", config or {}, {})


@pytest.fixture
def store(place):
    """Catalogues of 100 and of 1,000 items, of 10 times as many interactions."""
    found = Store(place)
    for name, items in (("small", 100), ("large", 1000)):
        write(found, f"catalog/{name}/1", counts={"items": items, "interactions": 10 * items})
    return found


LARGE = planned("catalog/large/1", "complete")


def test_time_grows_with_items_and_with_the_passes_that_were_made(store):
    write(store, "fused/a/1", 8.0, {"epochs": 20}, FUSED)
    write(store, "fused/b/1", 5.0, {"epochs": 10}, FUSED)
    found = expected([LARGE, planned("fused/large/1", config=FUSED)], store)["fused"]
    assert found == Expected(Span(50.0, 200.0, 2), None, None)


def test_passes_of_a_shorter_plan_are_fewer(store):
    write(store, "fused/a/1", 8.0, {"epochs": 20}, FUSED)
    short = FUSED | {"training": {"epochs": 5}}
    found = expected([LARGE, planned("fused/large/1", config=short)], store)["fused"].seconds
    assert found.low == found.high == 8.0 * 10 * 5 / 20


def test_records_of_other_kinds_and_other_nouns_say_nothing(store):
    write(store, "fused/a/1", 8.0, {"epochs": 20}, FUSED | {"fusion": {"kind": "uqf"}})
    write(store, "graph/a/1", 8.0, {"epochs": 20}, FUSED)
    assert expected([LARGE, planned("fused/large/1", config=FUSED)], store) == {}


def test_nothing_is_said_of_what_is_there_or_of_a_catalogue_that_is_not(store):
    write(store, "fused/a/1", 8.0, {"epochs": 20}, FUSED)
    wanted = planned("fused/large/1", config=FUSED)
    assert expected([LARGE, replace(wanted, state="complete")], store) == {}
    assert expected([planned("catalog/other/1"), wanted], store) == {}


def test_the_rows_of_the_raw_data_stand_for_a_catalogue_that_is_not_there(store):
    write(store, "fused/a/1", 8.0, {"epochs": 40}, FUSED)
    write(store, "graph/a/1", 3.0)
    write(store, "catalog/timed/1", 2.0, {"items": 100, "interactions": 1000}, {"k": 1})
    entries = [planned("catalog/new/1"), planned("graph/new/1"), planned("fused/new/1", config=FUSED)]
    found = expected(entries, store, {"items": 500, "interactions": 2000})
    assert found["fused"].seconds == Span(40.0, 40.0, 1)
    assert found["graph"].seconds == Span(6.0, 6.0, 1)
    assert found["catalog"].seconds.high == 4.0
    assert lacks_catalog(entries)
    assert not lacks_catalog([LARGE])
    assert set(expected(entries, store, {"items": 500})) == {"fused"}


NEW = [planned("catalog/new/1")]
ROWS = {"interactions": 4000}
"""Four times those of the catalogues that are there."""


def test_a_catalog_that_is_sorted_on_disk_holds_what_it_may_and_takes_longer(place):
    store = Store(place)
    write(store, "catalog/a/1", 10.0, {"interactions": 1000}, memory={"before": 0, "peak": 2 * GB})
    assert expected(NEW, store, ROWS)["catalog"] == Expected(Span(40.0, 40.0, 1), Span(2 * GB, 8 * GB, 1), None)
    for bound, most in ((GB, (GB, GB)), (3 * GB, (2 * GB, 3 * GB)), (64 * GB, (2 * GB, 8 * GB))):
        found = expected(NEW, store, ROWS, bound)["catalog"]
        assert (found.memory.low, found.memory.high) == most
        assert found.seconds.low == 40.0
        assert found.seconds.high == pytest.approx(40.0 * ON_DISK)


def test_a_record_on_disk_says_how_long_one_in_memory_takes_and_nothing_of_what_it_holds(place):
    store, held = Store(place), {"before": GB // 2, "peak": GB}
    write(store, "catalog/a/1", 10.0, {"interactions": 1000}, memory=held, runtime={"memory": 0.5})
    plain = expected(NEW, store, ROWS)["catalog"]
    assert (plain.seconds.low, plain.seconds.high) == (pytest.approx(40.0 / ON_DISK), 40.0)
    assert plain.memory is None
    bounded = expected(NEW, store, ROWS, 2.0 * GB)["catalog"]
    assert bounded == Expected(Span(40.0, 40.0, 1), Span(GB, 2 * GB, 1), None)


def test_other_stages_hold_what_they_held_however_the_catalog_is_sorted(store):
    write(store, "graph/a/1", 3.0, memory={"before": 0, "peak": GB})
    entries = [*NEW, planned("graph/new/1")]
    assert expected(entries, store, ROWS, 1.0)["graph"] == expected(entries, store, ROWS)["graph"]


def test_the_newest_records_count(store):
    for number in range(1, RECORDS + 3):  # the oldest come first by address
        write(store, f"fused/m{number:02}/1", float(number), {"epochs": 40}, FUSED, order=number)
    found = expected([LARGE, planned("fused/large/1", config=FUSED)], store)["fused"].seconds
    assert found == Span(30.0, 10.0 * (RECORDS + 2), RECORDS)


def sized(width, layers=2):
    return FUSED | {"fusion": {"kind": "concat", "width": width, "num_layers": layers, "seed": 7}}


def test_records_of_other_sizes_are_scaled_where_there_is_none_of_the_same(store):
    write(store, "fused/a/1", 8.0, {"epochs": 40}, sized(64), memory={"before": 0, "peak": GB})
    wanted = [LARGE, planned("fused/large/1", config=sized(128, layers=6))]
    found = expected(wanted, store)["fused"]
    assert found.seconds == Span(80.0, 480.0, 1)  # as it was, and at twice the width and thrice the layers
    assert found.memory == Span(GB, 60 * GB, 1)
    smaller = expected([LARGE, planned("fused/large/1", config=sized(32))], store)["fused"].seconds
    assert smaller == Span(40.0, 80.0, 1)
    write(store, "fused/b/1", 9.0, {"epochs": 40}, sized(128, layers=6))
    assert expected(wanted, store)["fused"].seconds == Span(90.0, 90.0, 1)


def test_records_of_another_pretrained_model_say_nothing(store):
    def read_by(model):
        return {"encoder": {"address": f"package:{model}", "fingerprint": model}}

    place = store.place(Address.parse("embeddings/a/1"))
    inputs = read_by("small") | {"catalog": {"address": "catalog/small/1", "fingerprint": "f"}}
    write_record(place, Record(address="embeddings/a/1", config={}, inputs=inputs, seconds=3.0))
    for model, known in (("small", True), ("large", False)):
        entry = replace(planned("embeddings/large/1"), inputs=read_by(model))
        assert ("embeddings" in expected([LARGE, entry], store)) == known


def test_a_record_whose_catalogue_is_gone_or_damaged_is_passed_over(store):
    write(store, "fused/a/1", 8.0, {"epochs": 20}, FUSED, catalog="catalog/gone/1")
    write(store, "fused/b/1", 8.0, {"epochs": 20}, FUSED)
    store.place(Address.parse("fused/b/1")).write("record.json", b"{")
    assert expected([LARGE, planned("fused/large/1", config=FUSED)], store) == {}


def test_the_catalogue_is_found_through_other_inputs(store):
    write(store, "sequences/a/1", 1.0)
    place = store.place(Address.parse("metrics/a/1"))
    inputs = {
        "sequences": {"address": "sequences/a/1", "fingerprint": "f"},
        "raw": {"address": "s3://x", "fingerprint": "f"},
    }
    write_record(place, Record(address="metrics/a/1", config={}, inputs=inputs, seconds=3.0))
    assert expected([LARGE, planned("metrics/large/1")], store)["metrics"].seconds.high == 30.0


def test_a_plan_shows_them_in_units_that_suit(store):
    write(store, "fused/a/1", 8.0, {"epochs": 20}, FUSED)
    entries = [LARGE, planned("fused/large/1", config=FUSED), planned("codes/large/1")]
    _, fused, codes, _ = plan_tree(entries, expected(entries, store)).splitlines()
    assert fused.endswith("about 80 s to 2.7 min, by 1 record")
    assert codes.split() == ["-", "codes/large/1", "to", "make"]


def test_memory_lies_between_what_it_was_and_what_would_grow(store):
    write(store, "fused/a/1", 8.0, {"epochs": 40}, FUSED, memory={"before": GB, "peak": 2 * GB, "device": 3 * GB})
    write(store, "fused/b/1", 8.0, {"epochs": 40}, FUSED, catalog="catalog/large/1", memory={"before": 0, "peak": GB})
    found = expected([LARGE, planned("fused/large/1", config=FUSED)], store)["fused"]
    assert found.memory == Span(GB, 11 * GB, 2)
    assert found.device_memory == Span(3 * GB, 30 * GB, 1)
    smaller = expected([planned("catalog/small/1", "complete"), planned("fused/small/1", config=FUSED)], store)["fused"]
    assert smaller.memory == Span(GB / 10, 2 * GB, 2)


@pytest.mark.parametrize("memory", [{}, {"peak": "much"}, {"peak": None}, {"peak": -1}, {"peak": []}, {"before": 7}])
def test_memory_that_was_not_measured_is_none(store, memory):
    write(store, "fused/a/1", 8.0, {"epochs": 40}, FUSED, memory=memory)
    found = expected([LARGE, planned("fused/large/1", config=FUSED)], store)["fused"]
    assert (found.seconds.high, found.memory, found.device_memory) == (80.0, None, None)


def test_records_of_other_machines_say_nothing_of_this_one(store, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for number, where in enumerate(("", machine(), "arm64, 400 cores, 9000 GiB", CLUSTER), 1):
        write(store, f"fused/m{number}/1", 10.0**number, {"epochs": 40}, FUSED, machine=where)
    wanted = [LARGE, planned("fused/large/1", config=FUSED)]
    assert expected(wanted, store)["fused"].seconds == Span(100.0, 1000.0, 2)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert expected(wanted, store)["fused"].seconds == Span(100.0, 100_000.0, 3)


def test_a_plan_shows_memory_beside_what_there_is(store):
    write(store, "fused/a/1", 8.0, {"epochs": 40}, FUSED, memory={"before": GB, "peak": 2 * GB, "device": 3 * GB})
    entries = [LARGE, planned("fused/large/1", config=FUSED)]
    _, fused, _, note = plan_tree(entries, expected(entries, store)).splitlines()
    assert fused.endswith("about 80 s, 2 GB to 11 GB, 3 GB to 30 GB of a GPU, by 1 record")
    assert re.search(r"; this machine has [\d.]+ (GB|TB)$", note)
