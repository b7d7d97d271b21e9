"""A future window: everybody's future begins at one moment, and nothing of it is in a history."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.versions import shop
from unisid import cli
from unisid.artifacts.catalog import FUTURE_WINDOW, TEST, TRAIN, VALID, Catalog, write_interactions
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Place, Store
from unisid.errors import DataError
from unisid.ops.splits import future_window_split, known_until
from unisid.stages.catalog.protocols import DAY, split_of
from unisid.stages.catalog.reading import Rows
from unisid.stages.catalog.statistics import statistics


def rows_of(user, timestamp) -> Rows:
    user = np.asarray(user)
    return Rows(user, np.arange(len(user)), np.asarray(timestamp), unit="s")


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 50)), min_size=1), st.integers(1, 20))
def test_labels_are_decided_by_time_alone_and_histories_by_the_window(pairs, window):
    user, time = (np.array(column) for column in zip(*sorted(pairs), strict=True))
    label = future_window_split(time, window)
    last = time.max() + 1
    assert label.tolist() == [2 if t >= last - window else 1 if t >= last - 2 * window else 0 for t in time.tolist()]
    ends = known_until(user, label)
    for row, end in enumerate(ends.tolist()):
        before = [n for n in range(row) if user[n] == user[row] and (label[n] < label[row] or label[row] == 0)]
        begin = int(np.flatnonzero(user == user[row])[0])
        assert list(range(begin, end)) == before


def test_a_catalog_predicts_a_window_from_what_was_known_before_it(place: Place):
    user = [0, 0, 0, 0, 0, 1, 1, 2, 2]
    split = [TRAIN, TRAIN, VALID, VALID, TEST, TEST, TEST, TRAIN, TEST]
    write_interactions(place, user, list(range(9)), [0] * 9, split)
    settings = {"protocol": FUTURE_WINDOW, "history_length": 2}
    write_record(place, Record(address="catalog/t/1", config=settings, inputs={}, counts={"items": 9, "users": 3}))
    catalog = Catalog.read(place)
    assert catalog.samples(TRAIN).tolist() == [1]
    assert catalog.samples(VALID).tolist() == [2, 3]
    assert catalog.samples(TEST).tolist() == [4, 8]  # of user 1 nothing is known before the window
    items, lengths = catalog.history(np.array([2, 3, 4, 8]))
    assert (items.tolist(), lengths.tolist()) == ([0, 1, 0, 1, 2, 3, 7], [2, 2, 2, 1])
    assert catalog.past(np.array([4]))[0].tolist() == [0, 1, 2, 3]
    assert catalog.past_lengths(np.array([3, 4])).tolist() == [2, 4]


def test_the_statistics_count_the_samples_that_the_catalog_has():
    rows = rows_of([0, 0, 0, 1, 1, 2], [0, 5, 9, 8, 9, 9])
    split = future_window_split(rows.timestamp, 2)
    counts = statistics(
        rows, split, pa.chunked_array([[str(n) for n in range(6)]]), pa.array(["a", "b", "c"]), window=True
    )
    assert split.tolist() == [0, 0, 2, 2, 2, 2]
    assert [counts[name] for name in ("train", "valid", "test")] == [1, 0, 1]


def test_windows_are_days_or_a_tenth_of_the_time():
    time = np.arange(100) * DAY
    split = split_of(FUTURE_WINDOW, 7, rows_of(np.zeros(100, int), time))
    assert np.bincount(split).tolist() == [86, 7, 7]
    split = split_of(FUTURE_WINDOW, 0, rows_of(np.zeros(100, int), time))
    assert np.bincount(split).tolist() == [80, 10, 10]
    with pytest.raises(DataError, match="two windows of 50 days leave nothing to learn from .* span 99.0 days"):
        split_of(FUTURE_WINDOW, 50, rows_of(np.zeros(100, int), time))


def test_a_flow_is_measured_on_the_window_and_lists_of_the_moment_before_it_are_judged_alike(tmp_path, capsys):
    """Popularity by what was known, as lists of any system: the figures of the flow's own, and the same samples."""
    times = {name: [] for name in ("user_id", "item_id", "timestamp")}
    for user, start in enumerate(np.random.default_rng(0).integers(0, shop.ITEMS, 60).tolist()):
        for step in range(6):
            times["user_id"].append(f"u{user}")
            times["item_id"].append(f"i{(start + step) % shop.ITEMS}")
            times["timestamp"].append(step * DAY + user)
    pq.write_table(pa.table(times), tmp_path / "rows.parquet")
    base = shop.recipe(shop.items(tmp_path, shop.ITEMS), str(tmp_path / "rows.parquet"))
    wanted = replace(base, catalog=replace(base.catalog, protocol=FUTURE_WINDOW, future_days=1))
    places = shop.make(wanted, Store(Place.of(tmp_path / "store")), "metrics")
    catalog = Catalog.read(places["catalog"])
    rows = catalog.samples(TEST)
    assert len(rows) == 60
    assert set(catalog.past_lengths(rows).tolist()) == {5}
    known = pd.DataFrame(times).query(f"timestamp < {4 * DAY}").groupby("item_id").user_id.nunique()
    lists = [
        (user, item, known.get(item, 0)) for user in set(times["user_id"]) for item in catalog.item_ids.to_pylist()
    ]
    pd.DataFrame(lists, columns=["user_id", "item_id", "score"]).to_csv(tmp_path / "known.csv", index=False)
    words = ["--lists", f"known={tmp_path / 'known.csv'}", "--metrics", "metrics/shop/1", "--json"]
    assert cli.main(["judge", *words, "--store", str(tmp_path / "store")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["samples"] == 60
    for rule in found["rules"].values():
        assert rule["figures"]["known"] == rule["figures"]["popularity"]
