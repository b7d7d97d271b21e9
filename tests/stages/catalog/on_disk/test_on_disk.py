"""A catalog that is sorted on disk has the bytes and the counts of one that is sorted in memory."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stages.catalog.test_weights import with_column
from tests.stages.test_catalog import bytes_of, make, shop
from unisid.artifacts.store import Place
from unisid.config import fingerprint, to_record
from unisid.datasets import synthetic
from unisid.errors import DataError
from unisid.raw.time_ranges import Times
from unisid.stages import catalog
from unisid.stages.catalog.on_disk import writing

pytest.importorskip("duckdb", reason="DuckDB (the extra large) is not installed")
START = 1_600_000_000
GIB = 0.1
DAY = 86_400


def both(config, folder):
    """What is made in memory and on disk: the files' bytes and the counts, or the error."""
    found = []
    for name, gib in (("memory", 0.0), ("disk", GIB)):
        out = Place.of(folder / name)
        try:
            _, counts = make(dataclasses.replace(config, memory=gib), out)
            found.append((bytes_of(out), counts))
        except DataError as error:
            found.append(str(error))
    return found


WALK = st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(0, 4), st.sampled_from(("view", "buy", "ßig")))
SETTINGS = st.fixed_dictionaries(
    {
        "protocol": st.sampled_from(("temporal", "leave-one-out", "future-window")),
        "k_core": st.sampled_from((0, 0, 2, 3)),
        "duplicate_rows": st.sampled_from(("keep", "drop")),
        "ties": st.sampled_from(("seed", "row")),
        "keep_cold_items": st.booleans(),
        "cold_share": st.sampled_from((0.0, 0.0, 0.3)),
        "events": st.sampled_from(((), ("view", "buy"))),
        "window_start": st.sampled_from(("", "", "2020-09-14")),
        "min_items": st.sampled_from((0, 3)),
        "seed": st.integers(0, 3),
    }
)


@settings(max_examples=12, deadline=None)
@given(st.lists(WALK, min_size=1, max_size=60), SETTINGS, st.sampled_from((1, 43_200)), st.booleans())
def test_equals_what_is_made_in_memory(tmp_path_factory, walks, given_settings, step, weighed):
    folder = tmp_path_factory.mktemp("shop")
    rows = [(f"u{user}", f"{item}", START + step * time, kind) for user, item, time, kind in walks]
    weights = {"view": 1.0, "buy": 2.5, "ßig": 2.5} if weighed else {}
    kinds = given_settings["events"] or sorted({row[3] for row in rows})
    given_settings["event_weights"] = {kind: weights[kind] for kind in kinds if kind in weights}
    items = {str(item): f"title {item}" if item else "" for item in range(7)}
    config = shop(folder, [row[:3] for row in rows], items, unknown_items="count", **given_settings)
    lines = (folder / "rows.csv").read_text().splitlines()
    body = [f"{line},{row[3]}" for line, row in zip(lines[1:], rows, strict=True)]
    (folder / "rows.csv").write_text("\n".join([f"{lines[0]},event", *body]) + "\n")
    config = dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, event="event"))
    memory, disk = both(config, folder)
    assert memory == disk


def walks(users, length=6, step=DAY):
    return [(f"u{u}", f"{(u + n) % 7}", START + step * n) for u in range(users) for n in range(length)]


def assert_equal(config, folder):
    memory, disk = both(config, folder)
    assert not isinstance(memory, str)
    assert memory == disk


def assert_refused(config, folder, words):
    memory, disk = both(config, folder)
    assert words in memory
    assert memory == disk


def test_users_that_reach_over_batches_and_files_of_items(tmp_path, monkeypatch):
    """Few rows at a time, one user with most of them, groups that end anywhere."""
    monkeypatch.setattr(writing, "BATCH", 5)
    monkeypatch.setattr(writing, "INTERACTIONS_PER_GROUP", 16)
    monkeypatch.setattr("unisid.artifacts.catalog.INTERACTIONS_PER_GROUP", 16)
    monkeypatch.setattr(catalog, "ITEMS_PER_FILE", 3)
    rows = walks(21) + [("null", f"{n % 7}", START + n) for n in range(40)]
    for number, protocol in enumerate(("temporal", "leave-one-out", "future-window")):
        (tmp_path / protocol).mkdir()
        assert_equal(shop(tmp_path / protocol, rows, protocol=protocol, seed=number), tmp_path / protocol)


def test_parts_and_texts_as_they_come(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "USERS_PER_PART", 50)
    monkeypatch.setattr(synthetic, "ITEMS_PER_PART", 30)
    made = synthetic.Config(items=100, users=300, ties=0.3)
    assert_equal(catalog.Config(dataset=made, k_core=3, keep_cold_items=True), tmp_path)


@pytest.mark.parametrize("times", [Times(missing="drop", outlying="drop"), Times(missing="drop", outlying="keep")])
def test_times_that_are_none_or_cannot_be_true(tmp_path, times):
    rows = [*walks(9), ("u1", "3", ""), ("u2", "4", -1), ("u3", "9", "")]
    config = shop(tmp_path, rows, {f"{n}": "" for n in range(7)}, unknown_items="count", protocol="leave-one-out")
    assert_equal(dataclasses.replace(config, dataset=dataclasses.replace(config.dataset, times=times)), tmp_path)


@pytest.mark.parametrize("fraction", ["", ".25"])
def test_the_coarsest_unit_of_the_times(tmp_path, fraction):
    rows = [(user, item, f"{time}{fraction}") for user, item, time in walks(5)]
    assert_equal(shop(tmp_path, rows, protocol="future-window", window_start="2020-09-14", min_items=0), tmp_path)


def test_ratings_below_and_without(tmp_path):
    rows = walks(8)
    ratings = [("1", "3.5", "5", "")[n % 4] for n in range(len(rows))]
    assert_equal(with_column(tmp_path, rows, "rating", "stars", ratings, least_rating=3.5), tmp_path)


def test_repeated_items_are_counted_or_refused_alike(tmp_path):
    items = [(f"{n % 7}", f"title {n}") for n in range(10)]
    config = shop(tmp_path, walks(5), items, duplicate_items="count")
    assert_equal(config, tmp_path)
    assert_refused(dataclasses.replace(config, duplicate_items="refuse"), tmp_path, "3 rows of the items repeat")


def test_what_is_refused_is_refused_in_the_same_words(tmp_path):
    items = {f"{n}": "t" for n in range(6)}
    assert_refused(
        shop(tmp_path, walks(5), items), tmp_path, "4 of 30 interactions name an item that the items lack: '6'"
    )
    assert_refused(
        shop(tmp_path, walks(5), k_core=9), tmp_path, "the 9-core of 30 interactions of 5 users with 7 items"
    )
    late = {"window_start": "2031-01", "protocol": "leave-one-out"}
    assert_refused(shop(tmp_path, walks(5), **late), tmp_path, "no interaction is left")
    assert_refused(shop(tmp_path, walks(1, 2), cold_share=0.9), tmp_path, "catalog.cold_share")
    config = with_column(tmp_path, walks(5), "event", "kind", ["view"] * 30, events=("buy",))
    assert_refused(config, tmp_path, "no interaction is a 'buy'")


def test_the_setting_bears_no_identity():
    assert fingerprint(to_record(catalog.Config(memory=1.5), identity=True)) == fingerprint(
        to_record(catalog.Config(memory=0.0), identity=True)
    )
