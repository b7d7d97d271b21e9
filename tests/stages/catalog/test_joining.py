"""A day joins a catalog a few users at a time: the bytes and the counts of doing it with all in memory."""

import dataclasses
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import appended as twin
from tests.stages.test_catalog import bytes_of, make, shop
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Place
from unisid.compute import Job
from unisid.config import to_record
from unisid.runtime.local import LocalCompute
from unisid.stages.catalog import append, extend, joining
from unisid.stages.extension import Base

START = 1_600_000_000
KINDS = {"view": 1.0, "buy": 2.5}


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    for module in ("artifacts.catalog", "stages.catalog.joining", "stages.catalog.extend"):
        monkeypatch.setattr(f"unisid.{module}.INTERACTIONS_PER_GROUP", 8)
    monkeypatch.setattr("unisid.artifacts.tables.ROWS_PER_GROUP", 4)


def shop_of(folder, rows, items, **own):
    """A shop whose rows have a kind, in a folder of its own; without items where none are given."""
    folder.mkdir(parents=True)
    config = shop(folder, [row[:3] for row in rows], dict.fromkeys(items, "title"), unknown_items="count", **own)
    lines = (folder / "rows.csv").read_text().splitlines()
    words = ["event", *(row[3] for row in rows)]
    (folder / "rows.csv").write_text("".join(f"{line},{word}\n" for line, word in zip(lines, words, strict=True)))
    tables = {"event": "event"} | ({} if items else {"items": "none"})
    return dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, **tables))


def extended(config, out):
    """The catalog that goes on from another, and its counts."""
    job = Job(config=config, inputs={}, out=out, name="t", compute=LocalCompute(), report=lambda _: None)
    counts = extend.make(job)
    write_record(out, Record(address="catalog/t/2", config=to_record(config, identity=True), inputs={}, counts=counts))
    return bytes_of(out), counts


def both(config, folder):
    """What is made a few users at a time, and with all in memory."""
    found = []
    for way in (joining, twin):
        with mock.patch.object(append, "write_joined", way.write_joined):
            found.append(extended(config, Place.of(folder / way.__name__)))
    return found


ROW = st.tuples(st.integers(0, 9), st.integers(0, 7), st.integers(0, 9), st.sampled_from(sorted(KINDS)))
LATER = st.tuples(st.integers(5, 14), st.integers(0, 10), st.integers(5, 14), st.sampled_from(sorted(KINDS)))
SETTINGS = st.fixed_dictionaries(
    {
        "duplicate_rows": st.sampled_from(("keep", "drop")),
        "ties": st.sampled_from(("seed", "row")),
        "seed": st.integers(0, 3),
    }
)
SHARES = st.sampled_from(((0.1, 0.2), (0.3, 0.3), (0.0, 0.5)))


def rows_of(drawn):
    return [(f"u{user}", f"{item}", START + time, kind) for user, item, time, kind in drawn]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(ROW, min_size=1, max_size=50),
    st.lists(st.lists(LATER, min_size=1, max_size=30), min_size=1, max_size=2),
    SETTINGS,
    SHARES,
    st.booleans(),
)
def test_equals_what_is_joined_in_memory(tmp_path_factory, first, days, own, shares, weighed):
    """Two days after one another: new users and items, late rows, repeats of the day and of what is there."""
    folder = tmp_path_factory.mktemp("shop")
    own = own | ({"event_weights": KINDS} if weighed else {})
    rows = [*rows_of(first), ("all", "0", START, "view"), ("all", "0", START, "buy")]
    config = shop_of(folder / "base", rows, [f"{n}" for n in range(8)], protocol="leave-one-out", **own)
    where = folder / "made"
    make(config, Place.of(where))
    for number, drawn in enumerate(days):
        own |= {"base": Base.of(Place.of(where), "catalog"), "append": True}
        own |= dict(zip(("valid_share", "test_share"), shares, strict=True))
        day = shop_of(folder / f"day-{number}", rows_of(drawn), [f"{n}" for n in range(7 + number, 10)], **own)
        joined, wanted = both(day, folder / f"made-{number}")
        assert joined == wanted
        where = folder / f"made-{number}" / joining.__name__


def base_of_walks(folder, users=9):
    rows = [(f"u{u}", f"{(u + n) % 7}", START + n, "view") for u in range(users) for n in range(6)]
    make(shop_of(folder / "base", rows, [f"{n}" for n in range(7)]), Place.of(folder / "made"))
    return Base.of(Place.of(folder / "made"), "catalog")


def test_a_user_with_more_than_a_group_and_new_users_behind_all_others(tmp_path):
    base = base_of_walks(tmp_path)
    day = [("u3", f"{n % 7}", START + 50 + n, "view") for n in range(40)]
    day += [(f"new-{n}", "1", START + 60, "view") for n in range(20)]
    joined, wanted = both(shop_of(tmp_path / "day", day, [], base=base, append=True), tmp_path)
    assert joined == wanted
    assert joined[1]["extension"]["new_users"] == 20


def test_a_finer_day_and_a_day_of_items_alone(tmp_path):
    base = base_of_walks(tmp_path)
    finer = [("u3", "1", f"{START + 99}.25", "view"), ("u4", "1", f"{START + 98}", "view")]
    joined, wanted = both(shop_of(tmp_path / "day", finer, [], base=base, append=True), tmp_path)
    assert joined == wanted
    assert joined[1]["time_unit"] == "ms"
    items = shop_of(tmp_path / "items", [], ["7", "8"], base=base, append=True)
    items = dataclasses.replace(items, dataset=dataclasses.replace(items.dataset, interactions="none", event=""))
    joined, wanted = both(items, tmp_path / "alone")
    assert joined == wanted


def test_no_group_holds_more_of_the_catalog_than_its_users(tmp_path, monkeypatch):
    """What is held at a time does not grow with the catalog."""
    held = []
    joined = joining.Joining._joined

    def seen(self, table, places):
        held.append(table.num_rows)
        return joined(self, table, places)

    monkeypatch.setattr(joining.Joining, "_joined", seen)
    base = base_of_walks(tmp_path, users=60)
    extended(
        shop_of(tmp_path / "day", [("u3", "1", START + 9, "view")], [], base=base, append=True),
        Place.of(tmp_path / "2"),
    )
    assert sum(held) == 360
    assert max(held) <= 8 + 6


def test_an_extension_by_a_whole_table_has_the_same_bytes_in_memory_and_on_disk(tmp_path):
    pytest.importorskip("duckdb", reason="DuckDB (the extra large) is not installed")
    base = base_of_walks(tmp_path)
    rows = [(f"u{u}", f"{(u + n) % 11}", START + n, "view") for u in range(20) for n in range(6)]
    whole = shop_of(tmp_path / "whole", rows, [f"{n}" for n in range(11)], base=base)
    found = [
        extended(dataclasses.replace(whole, memory=gib), Place.of(tmp_path / name))
        for name, gib in (("memory", 0.0), ("disk", 0.1))
    ]
    assert found[0] == found[1]
    made = Catalog.read(Place.of(tmp_path / "disk"))
    assert made.item_ids[:7].equals(Catalog.read(Place.of(tmp_path / "made")).item_ids)
    names, users = made.item_ids.to_pylist(), made.user_ids.to_pylist()
    pairs = {(users[u], names[i], t) for u, i, t in zip(made.user, made.item, made.timestamp, strict=True)}
    assert pairs == {(user, item, time) for user, item, time, _ in rows}
