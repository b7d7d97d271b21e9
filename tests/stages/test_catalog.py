import csv
import dataclasses
import itertools
import json
import os
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.references import kcore, splits
from unisid.artifacts.catalog import TRAIN, Catalog
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Place
from unisid.artifacts.tables import read_table
from unisid.compute import Job
from unisid.config import from_record, override, to_record
from unisid.datasets import synthetic, tables, windows
from unisid.errors import ConfigError, DataError
from unisid.ops.text import PLACEHOLDER
from unisid.runtime.local import LocalCompute
from unisid.stages import catalog
from unisid.stages.catalog.days import start_of, year_earlier

REAL = Path(os.environ.get("UNISID_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))


def make(config, out):
    """The catalog of a configuration, and its counts."""
    job = Job(config=config, inputs={}, out=out, name="t", compute=LocalCompute(), report=lambda _: None)
    counts = catalog.make(job)
    write_record(out, Record(address="catalog/t/1", config=to_record(config, identity=True), inputs={}, counts=counts))
    return Catalog.read(out), counts


def shop(folder, rows, items=None, **settings):
    """A configuration over CSV tables of the given (user, item, time) rows and {item: title}."""
    items = items if items is not None else {row[1]: f"title {row[1]}" for row in rows}
    items = list(items.items()) if isinstance(items, dict) else items
    for name, header, body in (
        ("items", ["item_id", "title"], items),
        ("rows", ["user_id", "item_id", "timestamp"], rows),
    ):
        with open(folder / f"{name}.csv", "w", newline="") as file:
            csv.writer(file).writerows([header, *body])
    dataset = tables.Config(items=str(folder / "items.csv"), interactions=str(folder / "rows.csv"))
    return catalog.Config(**({"dataset": dataset, "k_core": 0} | settings))


def samples(read):
    """Split -> the samples in ids, sorted."""
    found = {}
    names, users = read.item_ids.to_pylist(), read.user_ids.to_pylist()
    for number, split in enumerate(("train", "valid", "test")):
        rows = read.samples(number)
        joined, lengths = read.history(rows)
        histories = np.split(joined, np.cumsum(lengths)[:-1]) if len(rows) else []
        found[split] = sorted(
            (users[read.user[row]], tuple(names[i] for i in history), names[read.item[row]])
            for row, history in zip(rows, histories, strict=True)
        )
    return found


def bytes_of(place):
    return {name: place.read(name) for name in place.sizes() if name != "record.json"}


@st.composite
def distinct_times(draw):
    """Interactions of which no two have the same time."""
    pairs = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=40))
    times = draw(st.permutations(range(len(pairs))))
    return [(f"u{u}", f"i{i}", t) for (u, i), t in zip(pairs, times, strict=True)]


PLAIN = {
    "temporal": splits.temporal,
    "leave-one-out": splits.leave_one_out,
    "future-window": splits.future_window,
}


@pytest.mark.parametrize("protocol", PLAIN)
@given(rows=distinct_times(), k=st.integers(0, 3), length=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_equals_the_plain_protocols(tmp_path_factory, protocol, rows, k, length):
    folder = tmp_path_factory.mktemp("shop")
    config = shop(folder, rows, protocol=protocol, k_core=k, history_length=length)
    kept = [rows[n] for n in kcore.k_core([(u, i) for u, i, _ in rows], k)]
    if not kept:
        with pytest.raises(DataError, match=rf"the {k}-core of \d+ interactions .* is empty; set catalog.k_core to"):
            make(config, Place.of(folder / "out"))
        return
    plain = PLAIN[protocol](kept, length)
    if not plain:
        with pytest.raises(DataError, match=r"catalog.future_days: two windows of .* leave nothing to learn from"):
            make(config, Place.of(folder / "out"))
        return
    read, counts = make(config, Place.of(folder / "out"))
    assert samples(read) == {split: sorted(found) for split, found in plain.items()}
    assert {split: counts[split] for split in plain} == {split: len(found) for split, found in plain.items()}
    assert (counts["users"], counts["items"]) == (len({r[0] for r in kept}), len({r[1] for r in kept}))
    assert counts["interactions"] == len(kept) == len(rows) - counts["dropped"]["k_core"]


@pytest.mark.parametrize("protocol", PLAIN)
@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 5)), min_size=1, max_size=40),
    shuffle=st.randoms(use_true_random=False),
)
@settings(max_examples=25, deadline=None)
def test_is_a_pure_function_of_the_set_of_rows_even_where_times_tie(tmp_path_factory, protocol, rows, shuffle):
    assume(protocol != "future-window" or max(row[2] for row in rows) - min(row[2] for row in rows) > 1)
    folder = tmp_path_factory.mktemp("shop")
    made = []
    items = [(str(i), f"t{i}") for i in range(7)]
    for n in (1, 2):
        made.append(make(shop(folder, rows, items, protocol=protocol), Place.of(folder / str(n)))[0])
        shuffle.shuffle(rows)
        shuffle.shuffle(items)
    assert bytes_of(made[0].place) == bytes_of(made[1].place)


def test_ties_by_row_keep_the_order_of_the_files_and_ties_by_seed_do_not(tmp_path):
    rows = [("u", f"i{n:02d}", 7) for n in range(40)]
    read, counts = make(shop(tmp_path, rows, ties="row", protocol="leave-one-out"), Place.of(tmp_path / "row"))
    assert [read.item_ids[int(i)].as_py() for i in read.item] == [row[1] for row in rows]
    assert counts["tied_steps"] == 1.0
    orders = set()
    for seed in (1, 2):
        read, _ = make(shop(tmp_path, rows, seed=seed, protocol="leave-one-out"), Place.of(tmp_path / str(seed)))
        orders.add(tuple(read.item_ids[int(i)].as_py() for i in read.item))
    assert len(orders | {tuple(row[1] for row in rows)}) == 3


def test_new_items_leave_the_relative_order_of_old_numbers(tmp_path):
    rows = [("u", f"i{n}", n) for n in range(30)]
    old, _ = make(shop(tmp_path, rows), Place.of(tmp_path / "old"))
    new, _ = make(shop(tmp_path, [*rows, ("u", "x", 99), ("v", "y", 5)]), Place.of(tmp_path / "new"))
    assert [i for i in new.item_ids.to_pylist() if i not in "xy"] == old.item_ids.to_pylist()


def test_what_may_be_learned_from_lies_before_what_is_asked(tmp_path):
    config = catalog.Config(dataset=synthetic.Config(items=200, users=300, ties=0.3))
    read, counts = make(config, Place.of(tmp_path))
    assert read.timestamp[read.split == TRAIN].max() <= read.timestamp[read.samples(1)].min()
    assert counts["tied_steps"] == pytest.approx(0.3, abs=0.02)
    assert (np.bincount(read.user) >= 5).all()
    assert (np.bincount(read.item) >= 5).all()
    same = read.user[1:] == read.user[:-1]
    assert (np.diff(read.timestamp)[same] >= 0).all()


def test_making_it_twice_gives_the_same_bytes_and_parts_in_any_order_too(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "USERS_PER_PART", 64)
    monkeypatch.setattr(synthetic, "ITEMS_PER_PART", 50)
    monkeypatch.setattr(catalog, "ITEMS_PER_FILE", 60)

    class Shuffled(LocalCompute):
        def map(self, parts, *steps):
            yield from super().map(random.Random(1).sample(list(parts), len(parts)), *steps)

    config = catalog.Config(dataset=synthetic.Config(items=200, users=300, ties=0.3), ties="row", k_core=0)
    made = []
    for n, compute in enumerate((LocalCompute(), LocalCompute(), Shuffled())):
        out = Place.of(tmp_path / str(n))
        catalog.make(Job(config=config, inputs={}, out=out, name="t", compute=compute, report=lambda _: None))
        made.append(bytes_of(out))
    assert made[0] == made[1] == made[2]
    assert len([name for name in made[0] if name.startswith("items-")]) == 4


def test_texts_are_cleaned_joined_and_never_empty(tmp_path):
    (tmp_path / "items.csv").write_text(
        'item_id,title,description,brand\n1,<b>Pen</b> &amp; ink,"Blue <i>fine</i>",P\n2,,,Q\n3,Ink,,\n'
    )
    (tmp_path / "rows.csv").write_text("user_id,item_id,timestamp\nu,1,1\nu,2,2\nu,3,3\n")
    dataset = tables.Config(items=str(tmp_path / "items.csv"), interactions=str(tmp_path / "rows.csv"))
    config = catalog.Config(dataset=dataset, k_core=0, title_rules=False)

    def read(config, name):
        made, counts = make(config, Place.of(tmp_path / name))
        rows = {row.pop("item_id"): row for row in read_table(made.place, "items").to_pylist()}
        return rows, counts["oddities"]

    rows, odd = read(config, "a")
    assert rows["1"] == {"title": "Pen & ink", "text": "Pen & ink Blue fine", "description": "Blue fine", "brand": "P"}
    assert rows["2"]["text"] == PLACEHOLDER
    assert rows["3"]["text"] == "Ink"
    assert (odd["empty_texts"], odd["titles_with_markup"]) == (1, 1)
    rows, odd = read(dataclasses.replace(config, text=("brand", "title")), "b")
    assert [rows[i]["text"] for i in "123"] == ["P Pen & ink", "Q", "Ink"]
    with pytest.raises(
        DataError, match=r"catalog.text: .*the text column 'brnad' is not there; did you mean 'brand'\?; the items have"
    ):
        read(dataclasses.replace(config, text=("brnad",)), "c")


def test_title_rules_follow_the_protocol(tmp_path):
    titles = {
        "a": "Pen",
        "b": "",
        "c": "<span>x</span>",
        "d": " ".join("w" * 21),
        "e": " ".join("w" * 20),
        "f": "A &amp; B",
    }
    rows = [("u", item, n) for n, item in enumerate(titles)]
    _, counts = make(shop(tmp_path, rows, titles), Place.of(tmp_path / "t"))
    assert counts["items"] == 3
    assert counts["dropped"]["title_rules"] == 3
    assert counts["oddities"]["items_dropped"] == 3
    _, counts = make(shop(tmp_path, rows, titles, protocol="leave-one-out"), Place.of(tmp_path / "l"))
    assert counts["items"] == 6
    _, counts = make(shop(tmp_path, rows, titles, title_rules=False), Place.of(tmp_path / "off"))
    assert counts["items"] == 6


def test_cold_items_are_dropped_or_kept_by_a_setting(tmp_path):
    rows = [("u", "a", 1), ("u", "b", 2)]
    titles = {"a": "A", "b": "B", "cold": "C", "untitled": ""}
    _, counts = make(shop(tmp_path, rows, titles), Place.of(tmp_path / "x"))
    assert (counts["items"], counts["oddities"]["items_dropped"], counts["oddities"]["cold_items"]) == (2, 2, 0)
    read, counts = make(shop(tmp_path, rows, titles, keep_cold_items=True), Place.of(tmp_path / "y"))
    assert (counts["items"], counts["oddities"]["items_dropped"], counts["oddities"]["cold_items"]) == (3, 1, 1)
    assert set(read.item_ids.to_pylist()) == {"a", "b", "cold"}


YEAR = 365 * 86_400


def test_the_window_moves_back_until_enough_items_survive(tmp_path):
    first = start_of("2010-06")
    rows = [
        (f"u{u}", f"i{y}", first + y * YEAR + u) for y in range(6) for u in range(2)
    ]  # one item a year, 2010 to 2015
    config = shop(tmp_path, rows, window_start="2014-01", window_end="2015-01-01")
    read, counts = make(dataclasses.replace(config, min_items=3), Place.of(tmp_path / "a"))
    assert (counts["items"], counts["window_start"]) == (3, "2012-01-01")
    assert counts["dropped"]["outside_window"] == 6
    assert read.timestamp.min() >= start_of("2012-01")
    assert read.timestamp.max() < start_of("2015-01")
    _, counts = make(dataclasses.replace(config, min_items=0), Place.of(tmp_path / "b"))
    assert (counts["items"], counts["window_start"]) == (1, "2014-01-01")
    _, counts = make(dataclasses.replace(config, min_items=1000), Place.of(tmp_path / "c"))
    assert (counts["items"], counts["window_start"]) == (5, "2010-01-01")
    one_out = dataclasses.replace(config, min_items=1000, protocol="leave-one-out")
    assert make(one_out, Place.of(tmp_path / "d"))[1]["window_start"] == "2014-01-01"


def test_a_leap_day_moves_to_the_day_before():
    assert year_earlier(start_of("2016-02-29")) == start_of("2015-02-28")


ROWS = [("u", "a", 1), ("u", "b", 2), ("v", "a", 3)]


def test_unknown_items_are_refused_or_counted(tmp_path):
    config = shop(tmp_path, [*ROWS, ("v", "zzz", 4)], {"a": "A", "b": "B"})
    with pytest.raises(
        DataError, match=r"1 of 4 interactions name an item that the items lack: 'zzz' \(first in .*/rows.csv, line 5\)"
    ):
        make(config, Place.of(tmp_path / "x"))
    _, counts = make(dataclasses.replace(config, unknown_items="count"), Place.of(tmp_path / "y"))
    assert (counts["interactions"], counts["dropped"]["unknown_item"]) == (3, 1)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_an_unknown_item_is_named_by_its_file_and_line_there(tmp_path, suffix):
    config = shop(tmp_path, [], {"a": "A", "b": "B"})
    (tmp_path / "rows").mkdir()
    parts = [ROWS[:2], [*ROWS, ("v", "zzz", 4), ("v", "yyy", 5)]]
    for number, rows in enumerate(parts):
        whole = pa.Table.from_pylist([{"user_id": u, "item_id": i, "timestamp": t} for u, i, t in rows])
        file = tmp_path / "rows" / f"{number}.{suffix}"
        if suffix == "parquet":
            pq.write_table(whole, file, row_group_size=2)
        elif suffix == "csv":
            with open(file, "w", newline="") as out:
                csv.writer(out).writerows([["user_id", "item_id", "timestamp"], [], *rows])
        else:
            file.write_text("\n" + "\n\n".join(map(json.dumps, whole.to_pylist())))
    config = dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, interactions=f"{tmp_path}/rows"))
    place = {"csv": "line 6", "jsonl": "line 8", "parquet": "row 4"}[suffix]
    with pytest.raises(DataError, match=rf"2 of 7 .*'zzz', 'yyy' \(first in .*rows/1\.{suffix}, {place}\)"):
        make(config, Place.of(tmp_path / "x"))


def test_duplicate_items_are_refused_or_the_first_wins(tmp_path):
    config = shop(tmp_path, ROWS, [("a", "first"), ("b", "B"), ("a", "second")])
    with pytest.raises(DataError, match=r"1 rows of the items repeat an item id that came before: 'a'; make the ids"):
        make(config, Place.of(tmp_path / "x"))
    read, counts = make(dataclasses.replace(config, duplicate_items="count"), Place.of(tmp_path / "y"))
    assert counts["oddities"]["duplicate_items"] == 1
    assert set(read.titles.to_pylist()) == {"first", "B"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"k_core": 3},
            r"the 3-core of 3 interactions of 2 users with 2 items is empty; set catalog.k_core to 1 or less",
        ),
        ({"window_start": "2030-01"}, r"no interaction is left \(dropped: outside_window 3\)"),
    ],
)
def test_a_catalogue_that_filters_empty(tmp_path, settings, message):
    with pytest.raises(DataError, match=message):
        make(shop(tmp_path, ROWS, min_items=0, **settings), Place.of(tmp_path / "out"))
    assert not Place.of(tmp_path / "out").exists()


def test_tables_without_rows(tmp_path):
    with pytest.raises(DataError, match=r"the raw data hold no interactions; at least one row"):
        make(shop(tmp_path, [], {"a": "A"}), Place.of(tmp_path / "out"))


def test_positions_cannot_be_split_by_time(tmp_path):
    config = shop(tmp_path, ROWS)
    config = dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, position="timestamp"))
    with pytest.raises(DataError, match=r"the protocol 'temporal' needs times, the tables data have positions only"):
        make(config, Place.of(tmp_path / "out"))
    with pytest.raises(DataError, match=r"a window needs times"):
        make(dataclasses.replace(config, protocol="leave-one-out", window_end="2020-01"), Place.of(tmp_path / "out"))
    assert make(dataclasses.replace(config, protocol="leave-one-out"), Place.of(tmp_path / "out"))[1]["users"] == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k_core": -1}, "catalog.k_core: is -1; must be at least 0"),
        ({"history_length": 0}, "catalog.history_length: is 0; must be at least 1"),
        ({"window_start": "2016-13"}, "'2016-13' is no day; write 2016-10 or 2016-10-01"),
        ({"window_start": "2018-01", "window_end": "2017-01"}, "window_end 2017-01 is not after window_start 2018-01"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ConfigError, match=message):
        catalog.Config(dataset=synthetic.Config(), **settings)


def test_settings_make_the_round_trip_and_take_words_from_a_command_line():
    config = catalog.Config(title_rules=True, text=("title",), unknown_items="count")
    assert from_record(catalog.Config, to_record(config)) == config
    for key, word in (("unknown_items", "refuse"), ("title_rules", "False"), ("dataset.items", "70"), ("seed", "3")):
        assert getattr(override(config, key, word), key.partition(".")[0]) != getattr(config, key.partition(".")[0])
    assert override(config, "dataset", "windows").dataset == windows.Config()


def test_sources_tell_content_and_not_paths(tmp_path):
    first = catalog.sources(shop(tmp_path, ROWS))
    moved = tmp_path / "moved"
    moved.mkdir()
    second = catalog.sources(shop(moved, ROWS))
    assert first.keys() == {"items", "interactions"}
    assert {r: e["fingerprint"] for r, e in first.items()} == {r: e["fingerprint"] for r, e in second.items()}
    assert first["items"]["address"] != second["items"]["address"]
    third = catalog.sources(shop(moved, ROWS[:-1]))
    assert third["items"]["fingerprint"] == first["items"]["fingerprint"]
    assert third["interactions"]["fingerprint"] != first["interactions"]["fingerprint"]


@pytest.mark.real_data
def test_beauty_has_the_published_counts(tmp_path):
    folder = _real("amazon-beauty-2014")
    dataset = tables.Config(
        items=str(folder / "items.parquet"), interactions=str(folder / "interactions.parquet"), position="position"
    )
    config = catalog.Config(dataset=dataset, protocol="leave-one-out", history_length=20)
    read, counts = make(config, Place.of(tmp_path))
    assert (counts["users"], counts["items"], counts["interactions"]) == (22_363, 12_101, 198_502)
    assert (counts["valid"], counts["test"]) == (22_363, 22_363)
    assert not any(counts["dropped"].values())
    assert abs(np.corrcoef(np.argsort(np.argsort(read.item_ids.to_numpy(False))), np.arange(12_101))[0, 1]) < 0.03


@pytest.mark.real_data
def test_beauty_leaks_nothing(tmp_path):
    """Told from the raw file alone: targets are last, histories are what came before, training is all but two."""
    folder = _real("amazon-beauty-2014")
    source = str(folder / "interactions.parquet")
    dataset = tables.Config(items=str(folder / "items.parquet"), interactions=source, position="position")
    config = catalog.Config(dataset=dataset, protocol="leave-one-out", history_length=20)
    read, _ = make(config, Place.of(tmp_path))
    raw: dict[str, list[str]] = {}
    for row in sorted(pq.read_table(source).to_pylist(), key=lambda row: (row["user_id"], row["position"])):
        raw.setdefault(row["user_id"], []).append(row["item_id"])
    ids, users, tests = np.array(read.item_ids.to_pylist()), read.user_ids.to_pylist(), read.samples(2)
    history, lengths = read.history(tests)
    ends = np.cumsum(lengths)
    assert len(tests) == len(raw)
    for row, end, length in zip(tests, ends, lengths, strict=True):
        *before, target = raw[users[read.user[row]]]
        assert ids[read.item[row]] == target
        assert ids[history[end - length : end]].tolist() == before[-20:]
        assert target not in before
    for first, last in itertools.pairwise(read.offsets):
        assert read.split[first:last].tolist() == [0] * (last - first - 2) + [1, 2]


@pytest.mark.real_data
def test_office_is_recovered_from_its_windows(tmp_path):
    folder = _real("amazon-office-2018")
    dataset = windows.Config(
        items=str(folder / "items.parquet"), samples=(str(folder / "valid.parquet"), str(folder / "test.parquet"))
    )
    config = catalog.Config(dataset=dataset, protocol="leave-one-out", k_core=0, keep_cold_items=True)
    _, counts = make(config, Place.of(tmp_path))
    assert (counts["users"], counts["items"], counts["interactions"]) == (3_231, 3_459, 22_447)


def _real(name):
    if not (REAL / name).is_dir():
        pytest.skip(f"no real data at {REAL / name}; set UNISID_REAL_DATA to the folder that holds {name}")
    return REAL / name
