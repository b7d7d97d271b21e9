"""What a catalog does with rows that are incomplete, impossible, repeated, unwanted or of no use, and what it says."""

import csv
import dataclasses
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.lines import logged
from tests.stages.test_catalog import make, shop
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.lookup import item_numbers
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Place
from unisid.compute import Job, Pool
from unisid.config import fingerprint, to_record
from unisid.datasets import synthetic, tables
from unisid.errors import DataError
from unisid.raw.time_ranges import Times
from unisid.recipes import find
from unisid.runtime.local import LocalCompute
from unisid.stages import catalog
from unisid.stages.catalog import summary
from unisid.stages.catalog.policies import crowds, greater_steps, is_large, ranks, repeats, taken_before

START = 1_600_000_000
ONE_OUT = {"protocol": "leave-one-out"}


def said(config, out):
    """The counts of a catalog, and what is said while it is made."""
    job = Job(config=config, inputs={}, out=out, name="t", compute=LocalCompute(), report=lambda _: None)
    with logged() as words:
        return catalog.make(job), words


def with_times(config, **policy):
    return dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, times=Times(**policy)))


def sequence(read, user="u"):
    number = read.user_ids.to_pylist().index(user)
    names = read.item_ids.to_pylist()
    return [names[i] for i in read.item[read.user == number]]


def walks(times, users=6, items=12):
    """Interactions of users who walk through the items, at the given times."""
    return [(f"u{u}", f"i{(u * 2 + n * 5) % items}", time) for u in range(users) for n, time in enumerate(times)]


@pytest.mark.parametrize(
    "times",
    [
        [f"{START}.{n:03d}" for n in range(1, 30)],
        [f"2020-09-13 12:26:40.{n:06d}" for n in range(1, 30)],
        [f"2020-09-13T12:26:40.{n:09d}+02:00" for n in range(1, 30)],
    ],
)
def test_the_order_within_a_second_is_kept(tmp_path, times):
    items = np.random.default_rng(3).permutation(29)
    rows = [("u", f"i{item}", time) for item, time in zip(items, times, strict=True)]
    for seed in (1, 2):
        read, counts = make(shop(tmp_path, rows[::-1], seed=seed, **ONE_OUT), Place.of(tmp_path / str(seed)))
        assert sequence(read) == [row[1] for row in rows]
        assert counts["tied_steps"] == 0
        assert len(set(read.timestamp.tolist())) == 29


@pytest.mark.parametrize(("unit", "step"), [("ms", 1), ("us", 1), ("ns", 1), ("s", 1)])
def test_the_finest_unit_of_numbers_is_kept_and_counted(tmp_path, unit, step):
    start = START * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    config = shop(tmp_path, [("u", f"i{n % 7}", start + n * step) for n in range(20)], **ONE_OUT)
    config = dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, unit=unit))
    read, counts = make(config, Place.of(tmp_path / "out"))
    assert sequence(read) == [f"i{n % 7}" for n in range(20)]
    assert (counts["time_unit"], counts["first_time"]) == (unit, "2020-09-13")
    assert read.timestamp.tolist() == [start + n * step for n in range(20)]


def test_whole_seconds_are_stored_as_seconds_whatever_they_are_written_in(tmp_path):
    seconds = [START + n for n in range(5)]
    made = []
    for name, times in (("a", seconds), ("b", [f"{t}.0" for t in seconds]), ("c", [t * 1000 for t in seconds])):
        folder = tmp_path / name
        folder.mkdir()
        config = shop(folder, [("u", f"i{n}", t) for n, t in enumerate(times)], **ONE_OUT)
        unit = "ms" if name == "c" else "s"
        config = dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, unit=unit))
        made.append(make(config, Place.of(folder / "out"))[0].timestamp.tolist())
    assert made == [seconds] * 3


def test_files_of_different_units_meet_and_windows_hold_in_any_unit(tmp_path):
    config = shop(tmp_path, [("u", f"i{n}", 0) for n in range(4)], **ONE_OUT)
    folder = tmp_path / "rows"
    folder.mkdir()
    day = 86_400 * 1000
    for n, (unit, times) in enumerate(
        (("ms", [START * 1000 + 1, START * 1000 + day]), ("s", [START, START + 9 * 86_400]))
    ):
        rows = {
            "user_id": ["u", "u"],
            "item_id": [f"i{2 * n}", f"i{2 * n + 1}"],
            "timestamp": pa.array(times, pa.timestamp(unit)),
        }
        pq.write_table(pa.table(rows), folder / f"{n}.parquet")
    config = dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, interactions=str(folder)))
    read, counts = make(config, Place.of(tmp_path / "a"))
    assert sequence(read) == ["i2", "i0", "i1", "i3"]
    assert counts["time_unit"] == "ms"
    window = dataclasses.replace(config, window_start="2020-09-13", window_end="2020-09-14", k_core=0)
    read, counts = make(window, Place.of(tmp_path / "b"))
    assert sequence(read) == ["i2", "i0"]
    assert counts["dropped"]["outside_window"] == 2


def test_rows_without_a_time_are_refused_or_dropped_and_counted(tmp_path):
    rows = walks([START + n for n in range(4)])
    rows[5], rows[9] = (*rows[5][:2], ""), (*rows[9][:2], "")
    config = shop(tmp_path, rows, **ONE_OUT)
    with pytest.raises(DataError, match=r"'' is no time \(2 such rows\).*set catalog.dataset.times.missing to drop"):
        make(config, Place.of(tmp_path / "x"))
    counts, words = said(with_times(config, missing="drop"), Place.of(tmp_path / "y"))
    assert (counts["interactions"], counts["dropped"]["missing_time"]) == (22, 2)
    assert any("2 dropped: interactions without a time (catalog.dataset.times.missing)" in line for line in words)


def test_a_time_that_cannot_be_true_is_refused_dropped_or_kept(tmp_path):
    rows = [*walks([START + n for n in range(4)]), ("u0", "i3", 10**18)]
    config = shop(tmp_path, rows, **ONE_OUT)
    with pytest.raises(
        DataError, match=r"1000000000000000000 under the unit 's' is the year .* as 'ns', .* 2001-09-09"
    ):
        make(config, Place.of(tmp_path / "x"))
    counts, words = said(with_times(config, outlying="drop"), Place.of(tmp_path / "y"))
    assert (counts["interactions"], counts["dropped"]["outlying_time"]) == (24, 1)
    assert any("1 dropped: interactions of an impossible time" in line for line in words)
    assert make(with_times(config, outlying="keep"), Place.of(tmp_path / "z"))[1]["interactions"] == 25


def test_a_time_that_looks_right_in_its_own_file_alone_is_found(tmp_path):
    config = shop(tmp_path, [("u", f"i{n}", 0) for n in range(4)], **ONE_OUT)
    folder = tmp_path / "rows"
    folder.mkdir()
    for n, times in enumerate(([START, START + 1, START + 2], [0])):
        with open(folder / f"{n}.csv", "w", newline="") as file:
            csv.writer(file).writerows([("user_id", "item_id", "timestamp"), *(("u", f"i{n}", t) for t in times)])
    config = dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, interactions=str(folder)))
    with pytest.raises(DataError, match=r"user 'u' with item 'i1' is of 1970-01-01, while most are between 2020-09-13"):
        make(config, Place.of(tmp_path / "x"))
    counts = make(with_times(config, outlying="drop"), Place.of(tmp_path / "y"))[1]
    assert (counts["interactions"], counts["dropped"]["outlying_time"]) == (3, 1)


def test_repeated_rows_are_counted_and_may_be_dropped(tmp_path):
    rows = walks([START + n for n in range(4)])
    config = shop(tmp_path, [*rows, *rows[:7], rows[0]], **ONE_OUT)
    counts, words = said(config, Place.of(tmp_path / "x"))
    assert (counts["interactions"], counts["oddities"]["duplicate_rows"]) == (32, 8)
    assert any("8 kept: interactions that repeat user, item and time" in line for line in words)
    counts, words = said(dataclasses.replace(config, duplicate_rows="drop"), Place.of(tmp_path / "y"))
    assert (counts["interactions"], counts["dropped"]["duplicate_row"]) == (24, 8)
    assert counts["oddities"]["duplicate_rows"] == 0
    assert any("8 dropped: interactions that repeat user, item and time (catalog.duplicate_rows)" in w for w in words)


def test_repeats_do_not_count_towards_the_core(tmp_path):
    config = shop(tmp_path, [("u", "a", 1), ("u", "a", 1), ("v", "b", 2), ("v", "b", 2)], k_core=2, **ONE_OUT)
    assert make(config, Place.of(tmp_path / "x"))[1]["interactions"] == 4
    with pytest.raises(DataError, match="the 2-core of 2 interactions"):
        make(dataclasses.replace(config, duplicate_rows="drop"), Place.of(tmp_path / "y"))


@pytest.fixture
def events(tmp_path):
    """A shop whose interactions are of three kinds."""
    config = shop(tmp_path, walks([START + n for n in range(6)]), **ONE_OUT)
    rows = [line.split(",") for line in (tmp_path / "rows.csv").read_text().split()]
    kinds = ["event", *(["view", "cart", "purchase"][n % 3] for n in range(36))]
    (tmp_path / "rows.csv").write_text("".join(",".join([*row, k]) + "\n" for row, k in zip(rows, kinds, strict=True)))
    return dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, event="event"))


def test_kinds_of_interaction_are_counted_and_chosen(tmp_path, events):
    counts, _ = said(events, Place.of(tmp_path / "x"))
    assert counts["interactions"] == 36
    assert counts["events"] == {"view": 12, "cart": 12, "purchase": 12}
    counts, words = said(dataclasses.replace(events, events=("cart", "purchase")), Place.of(tmp_path / "y"))
    assert (counts["interactions"], counts["dropped"]["event"]) == (24, 12)
    assert any("12 dropped: interactions of other kinds (catalog.events)" in line for line in words)


def test_a_kind_that_does_not_occur_and_a_column_that_is_not_named(tmp_path, events):
    with pytest.raises(DataError, match=r"no interaction is a 'purchas'; did you mean 'purchase'\?; there are: 'view'"):
        make(dataclasses.replace(events, events=("purchas",)), Place.of(tmp_path / "x"))
    unnamed = dataclasses.replace(events, dataset=dataclasses.replace(events.dataset, event=""))
    with pytest.raises(DataError, match=r"catalog.events: view are to be kept, .* name it as catalog.dataset.event"):
        make(dataclasses.replace(unnamed, events=("view",)), Place.of(tmp_path / "y"))


def test_a_column_of_kinds_that_is_not_read_is_named_with_the_settings(tmp_path, events):
    unnamed = dataclasses.replace(events, dataset=dataclasses.replace(events.dataset, event=""))
    _, words = said(unnamed, Place.of(tmp_path / "x"))
    [warned] = [line for line in words if line.startswith("warning")]
    assert "column 'event' is not read" in warned
    assert "catalog.dataset.event" in warned
    _, words = said(events, Place.of(tmp_path / "y"))
    assert not [line for line in words if line.startswith("warning")]


def test_splits_without_samples_are_said(tmp_path):
    _, words = said(shop(tmp_path, walks([START, START + 1]), **ONE_OUT), Place.of(tmp_path / "x"))
    assert any(line.startswith("warning: no sample falls to valid and test") for line in words)


def test_an_unknown_item_of_a_kind_that_is_dropped_is_no_error(tmp_path, events):
    path = tmp_path / "rows.csv"
    path.write_text(path.read_text() + f"u0,ghost,{START},view\n")
    with pytest.raises(DataError, match="'ghost'"):
        make(events, Place.of(tmp_path / "x"))
    assert make(dataclasses.replace(events, events=("cart",)), Place.of(tmp_path / "y"))[1]["interactions"] == 12


def test_items_that_no_interaction_names_are_said_with_the_setting_that_keeps_them(tmp_path):
    titles = {f"i{n}": f"T {n}" for n in range(20)}
    config = shop(tmp_path, walks([START + n for n in range(4)]), titles, **ONE_OUT)
    counts, words = said(config, Place.of(tmp_path / "x"))
    assert (counts["items"], counts["oddities"]["unmet_items"], counts["oddities"]["filtered_items"]) == (12, 8, 0)
    [line] = [line for line in words if "without any interaction" in line]
    assert line.startswith("  8 dropped: items")
    assert "catalog.keep_cold_items True keeps them" in line
    counts, words = said(dataclasses.replace(config, keep_cold_items=True), Place.of(tmp_path / "y"))
    assert (counts["items"], counts["oddities"]["unmet_items"], counts["oddities"]["cold_items"]) == (20, 0, 8)
    assert any("8 kept: items without interactions (catalog.keep_cold_items)" in line for line in words)


def test_every_item_that_is_gone_is_counted_once(tmp_path):
    titles = {"a": "A", "b": "B", "rare": "R", "unmet": "U", "bad": "", "met bad": " "}
    rows = [(u, i, START + n) for u in "uv" for n, i in enumerate("ab")] + [
        ("u", "rare", START),
        ("u", "met bad", 1 + START),
    ]
    counts, _ = said(shop(tmp_path, rows, titles, k_core=2, title_rules=True, **ONE_OUT), Place.of(tmp_path / "x"))
    odd = counts["oddities"]
    assert (odd["ruled_items"], odd["unmet_items"], odd["filtered_items"], odd["items_dropped"]) == (2, 1, 1, 4)


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ("bad", "catalog/x/1 left it out: it is dropped for its title (catalog.title_rules)"),
        ("met bad", "it is dropped for its title"),
        ("unmet", "no interaction names it (catalog.keep_cold_items True keeps such items)"),
        ("rare", "it lost all its interactions to other rules, such as catalog.k_core"),
        ("ghost", "not in catalog/x/1"),
    ],
)
def test_an_item_that_was_left_out_is_no_unknown_one(tmp_path, item, why):
    titles = {"a": "A", "b": "B", "rare": "R", "unmet": "U", "bad": "", "met bad": " "}
    rows = [(u, i, START + n) for u in "uv" for n, i in enumerate("ab")]
    rows += [("u", "rare", START), ("u", "met bad", 1 + START)]
    out = Place.of(tmp_path / "x")
    counts, _ = said(shop(tmp_path, rows, titles, k_core=2, title_rules=True, **ONE_OUT), out)
    write_record(out, Record(address="catalog/x/1", config={}, inputs={}, counts=counts))
    with pytest.raises(DataError, match=re.escape(why)):
        item_numbers(Catalog.read(out), [item])


def test_items_that_are_held_out_are_left_out_for_that(tmp_path):
    config = shop(tmp_path, walks([START + n for n in range(4)]), **ONE_OUT, cold_share=0.25)
    out = Place.of(tmp_path / "x")
    counts, _ = said(config, out)
    write_record(out, Record(address="catalog/x/1", config={}, inputs={}, counts=counts))
    assert set(Catalog.read(out).left_out().values()) == {"held out"}
    assert len(Catalog.read(out).left_out()) == counts["held_out"] > 0


def test_nothing_is_said_of_what_did_not_happen(tmp_path):
    counts, words = said(
        shop(tmp_path, walks([START + 86_400 * n for n in range(4)]), **ONE_OUT), Place.of(tmp_path / "x")
    )
    assert summary.lines(counts) == []
    assert not [line for line in words if "dropped" in line or "warning" in line]


@pytest.mark.parametrize(("texts", "words"), [("", r"all 12 items have no text"), ("Pen", None)])
def test_items_without_texts_are_said(tmp_path, texts, words):
    titles = {f"i{n}": texts for n in range(12)}
    counts, found = said(
        shop(tmp_path, walks([START + n for n in range(4)]), titles, **ONE_OUT), Place.of(tmp_path / "x")
    )
    warned = [line for line in found if line.startswith("warning")]
    assert (words is None) == (warned == [])
    assert words is None or words in warned[0]
    assert counts["oddities"]["empty_texts"] == (12 if words else 0)


def test_characters_that_were_lost_before_are_said(tmp_path):
    titles = {f"i{n}": "caf\ufffd" if n < 3 else "caf\u00e9" for n in range(12)}
    counts, words = said(
        shop(tmp_path, walks([START + n for n in range(4)]), titles, **ONE_OUT), Place.of(tmp_path / "x")
    )
    assert counts["oddities"]["lost_characters"] == 3
    assert any("3 kept: texts in which a character was lost before they came here (U+FFFD)" in line for line in words)


def test_equal_times_are_said(tmp_path):
    _, words = said(shop(tmp_path, walks([START] * 4), **ONE_OUT), Place.of(tmp_path / "x"))
    assert any("warning: all times of a user are equal: the order" in line for line in words)
    times = [START, START, START, START + 1]
    _, words = said(shop(tmp_path, walks(times), **ONE_OUT), Place.of(tmp_path / "y"))
    assert any("warning: 67% of a user's steps have equal times" in line for line in words)


def test_targets_that_nearly_all_repeat_the_history_are_said(tmp_path):
    rows = [(f"u{u}", f"i{u % 8}", START + 86_400 * n) for u in range(10) for n in range(5)]
    counts, words = said(shop(tmp_path, rows, **ONE_OUT), Place.of(tmp_path / "x"))
    assert counts["taken_before"] == {"train": 20, "valid": 10, "test": 10}
    warned = [line for line in words if "taken before" in line or "took before" in line]
    assert "10 of 10 valid targets" in warned[0]
    assert "model.valid_history to allowed" in warned[0]
    assert "10 of 10 test targets" in warned[1]
    assert "'allowed'" in warned[1]


def test_a_user_who_is_many_or_none_is_warned_of(tmp_path):
    rows = walks([START + 86_400 * n for n in range(4)]) + [("NULL", f"i{n}", START + 86_400 * n) for n in range(5)]
    counts, words = said(shop(tmp_path, rows, **ONE_OUT), Place.of(tmp_path / "x"))
    assert counts["crowds"] == {"NULL": 5}
    assert any("warning: 5 of 29 interactions are of the user 'NULL', and count as one" in line for line in words)
    many = [f"u{n}" for n in range(30)]
    assert crowds(np.arange(30), pa.array(many), 7) == {"u7": 7}
    assert crowds(np.arange(30), pa.array(many), -1) == {}
    assert (is_large(11, 40, 30), is_large(7, 36, 30), is_large(11, 40, 19)) == (True, False, False)


def test_an_order_that_follows_the_ids_is_measured_and_said(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", f"i{n}", START) for u in range(60) for n in sorted(rng.choice(100, 6, replace=False))]
    counts, words = said(shop(tmp_path, rows, ties="row", **ONE_OUT), Place.of(tmp_path / "x"))
    assert counts["order"]["steps"] == 300
    assert counts["order"]["to_greater_id"] > 0.8
    assert any("of the users' steps go to a greater item id, where chance gives 50%" in line for line in words)
    counts, words = said(shop(tmp_path, rows, **ONE_OUT), Place.of(tmp_path / "y"))
    assert counts["order"]["to_greater_id"] == pytest.approx(0.5, abs=0.09)
    assert not any("greater item id" in line for line in words)


@pytest.mark.parametrize(("names", "share"), [(["9", "10", "11"], 1.0), (["a9", "a10", "a11"], 0.5)])
def test_ids_that_are_numbers_are_compared_as_numbers(names, share):
    rank = ranks(pa.array(names))
    assert greater_steps(np.array([0, 0, 0, 1]), rank[np.array([0, 1, 2, 0])]) == (2, 2 * share)


def test_repeats_and_second_takings_as_a_plain_loop_finds_them():
    rng = np.random.default_rng(1)
    user, item, time = np.sort(rng.integers(0, 5, 200)), rng.integers(0, 6, 200), rng.integers(0, 4, 200)
    seen, pairs, again, before = set(), set(), [], []
    for row in zip(user.tolist(), item.tolist(), time.tolist(), strict=True):
        again.append(row in seen)
        before.append(row[:2] in pairs)
        seen.add(row)
        pairs.add(row[:2])
    assert repeats(user, item, time).tolist() == again
    assert taken_before(user, item, 6).tolist() == before


def test_counts_of_an_older_catalog_are_described_as_far_as_they_go():
    old = {"items": 10, "users": 3, "interactions": 9, "tied_steps": 0.1, "dropped": {"k_core": 4}, "test": 3}
    assert [d.count for d in summary.decisions(old)] == [4]
    assert summary.warnings(old) == []
    assert ("items", 10) in summary.facts(old)
    assert summary.unused(old) == []


def test_the_new_settings_leave_old_identities_as_they_were():
    config = catalog.Config(dataset=tables.Config(items="a", interactions="b"))
    record = to_record(config, identity=True)
    assert not {"duplicate_rows", "events"} & record.keys()
    assert not {"times", "event"} & record["dataset"].keys()
    plain = fingerprint(to_record(catalog.Config(dataset=synthetic.Config()), identity=True))
    for change in ({"duplicate_rows": "drop"}, {"events": ("view",)}):
        changed = dataclasses.replace(catalog.Config(dataset=synthetic.Config()), **change)
        assert fingerprint(to_record(changed, identity=True)) != plain
    for change in ({"event": "kind"}, {"times": Times(missing="drop")}):
        changed = dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, **change))
        assert to_record(changed, identity=True) != record


@pytest.mark.parametrize("recipe", ["shop", "shop_uqf", "production", ""])
def test_for_own_data_every_item_stays(tmp_path, recipe):
    """Of the ready recipes, and of the settings that docs/howto/own-data.md names for a recipe of one's own."""
    items = {f"i{n}": f"title {n}" for n in range(20)} | {"long": "word " * 30, "none": "", "markup": "<b>pen</b>"}
    tables_of = shop(tmp_path, walks([START + 86_400 * n for n in range(6)]), items).dataset
    kept = catalog.Config(k_core=0, keep_cold_items=True, title_rules=False)
    config = find(recipe).catalog if recipe else kept
    counts, _ = said(dataclasses.replace(config, dataset=tables_of, pool=Pool(workers=0)), Place.of(tmp_path / "x"))
    assert (counts["items"], counts["interactions"], counts["oddities"]["items_dropped"]) == (23, 36, 0)
