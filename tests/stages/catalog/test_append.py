"""A catalog that a day is appended to: numbers stay, the newest is held back, what is wrong is refused by name."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.references import splits as twin
from tests.versions import shop
from unisid.artifacts.catalog import TEST, TRAIN, VALID, Catalog
from unisid.artifacts.store import Place, Store
from unisid.datasets import tables
from unisid.errors import ConfigError, DataError
from unisid.ops.splits import newest_split
from unisid.raw.time_ranges import Times
from unisid.stages import catalog
from unisid.stages.extension import Base

START = 1_700_000_000


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A store with a catalog of 60 items, and its recipe."""
    folder = tmp_path_factory.mktemp("append")
    recipe = shop.recipe(shop.items(folder, shop.ITEMS), shop.interactions(folder))
    store = Store(Place.of(folder / "store"))
    shop.make(recipe, store, "catalog")
    return folder, store, recipe


def rows(folder, table, name="day"):
    path = folder / f"{name}.parquet"
    pq.write_table(pa.Table.from_pylist(table) if isinstance(table, list) else table, path)
    return str(path)


def taken(*triples):
    return [{"user_id": user, "item_id": item, "timestamp": START + time} for user, item, time in triples]


def appended(base, items="none", interactions="none", version="2", times=None, **settings):
    """The catalog with a day appended, and what was said."""
    _, store, recipe = base
    dataset = replace(recipe.catalog.dataset, items=items, interactions=interactions, times=times or Times())
    begin = Base.of(store.place(shop.at("catalog")), "catalog")
    config = replace(recipe.catalog, dataset=dataset, base=begin, append=True, **settings)
    said = []
    places = shop.make(replace(recipe, version=version, catalog=config), store, "catalog", said)
    return Catalog.read(places["catalog"]), said


DAY = taken(*((f"u{n % 7}", f"i{n % 9}", n) for n in range(40)), ("new-1", "i60", 41), ("new-1", "i3", 50))


def test_what_is_there_keeps_its_number_and_the_day_comes_after_it(base, tmp_path):
    before = Catalog.read(base[1].place(shop.at("catalog")))
    found, said = appended(base, shop.items(tmp_path, 63, "more"), rows(tmp_path, DAY), "numbers")
    assert found.item_ids[: before.num_items].equals(before.item_ids)
    assert set(found.item_ids[before.num_items :].to_pylist()) == {"i60", "i61", "i62"}
    assert found.user_ids[: before.num_users].equals(before.user_ids)
    assert found.user_ids[before.num_users :].to_pylist() == ["new-1"]
    both = [sorted(zip(c.user.tolist(), c.item.tolist(), c.timestamp.tolist(), strict=True)) for c in (before, found)]
    assert len(both[1]) == len(both[0]) + len(DAY)
    assert set(both[0]) <= set(both[1])
    assert (np.diff(found.user) >= 0).all()
    again = np.lexsort((found.timestamp, found.user))
    assert np.array_equal(found.timestamp[again], found.timestamp)
    assert found.record.counts["extension"] | {"changed_texts": 0} == {
        "published": 60,
        "new": 3,
        "readmitted": 0,
        "changed_texts": 0,
        "new_users": 1,
        "interactions": 42,
        "late": 0,
        "repeated": 0,
    }
    assert any("3 items, 1 users and 42 interactions are new" in line for line in said)


def test_all_that_was_there_is_for_training_and_the_newest_is_held_back(base, tmp_path):
    found, _ = appended(base, shop.items(tmp_path, 63, "more"), rows(tmp_path, DAY), "splits")
    old = found.timestamp < START
    assert (found.split[old] == TRAIN).all()
    held = [np.sort(found.timestamp[found.samples(split)]) - START for split in (VALID, TEST)]
    assert held[0].tolist() == [29, 30, 31, 32]  # of 41 samples, the first row of a new user is none
    assert held[1].tolist() == [33, 34, 35, 36, 37, 38, 39, 50]
    counts = found.record.counts
    assert (counts["valid"], counts["test"]) == (4, 8)


def test_late_interactions_are_for_training(base, tmp_path):
    late = [{"user_id": "u1", "item_id": "i5", "timestamp": 7}]
    found, _ = appended(
        base, interactions=rows(tmp_path, DAY[:40] + late), version="late", times=Times(outlying="keep")
    )
    assert (found.split[found.timestamp == 7] == TRAIN).all()
    assert found.record.counts["extension"]["late"] == 1
    for user in range(found.num_users):
        own = found.split[found.offsets[user] : found.offsets[user + 1]]
        assert (np.diff(own) >= 0).all()


def test_a_day_of_items_alone_and_one_of_interactions_alone(base, tmp_path):
    items, _ = appended(base, items=shop.items(tmp_path, 61, "one"), version="items")
    assert (items.num_items, items.record.count("test")) == (61, 0)
    clicks, _ = appended(base, interactions=rows(tmp_path, DAY[:40]), version="clicks")
    assert (clicks.num_items, clicks.record.counts["extension"]["new"]) == (60, 0)


def test_other_units_and_repeated_rows(base, tmp_path):
    day = pa.Table.from_pylist(DAY[:40] + DAY[:2])
    fine = day.set_column(
        2, "timestamp", pa.array([1000 * t for t in day["timestamp"].to_pylist()], pa.timestamp("ms"))
    )
    found, _ = appended(base, interactions=rows(tmp_path, fine), version="fine", duplicate_rows="drop")
    assert found.record.counts["time_unit"] == "s"
    assert found.record.counts["dropped"]["duplicate_row"] == 2
    assert found.record.counts["extension"]["interactions"] == 40
    odd = day.set_column(
        2, "timestamp", pa.array([1000 * t + 1 for t in day["timestamp"].to_pylist()], pa.timestamp("ms"))
    )
    found, _ = appended(base, interactions=rows(tmp_path, odd, "odd"), version="odd")
    assert found.record.counts["time_unit"] == "ms"
    assert found.timestamp.max() == 1000 * (START + 39) + 1
    assert found.timestamp.min() == Catalog.read(base[1].place(shop.at("catalog"))).timestamp.min() * 1000


def test_what_is_wrong_is_refused_by_name(base, tmp_path):
    with pytest.raises(DataError, match="1 of 1 interactions name an item that the items lack: 'i99'"):
        appended(base, interactions=rows(tmp_path, taken(("u1", "i99", 1))), version="bad")
    found, _ = appended(
        base, interactions=rows(tmp_path, DAY[:9] + taken(("u1", "i99", 1))), version="counted", unknown_items="count"
    )
    assert found.record.counts["dropped"]["unknown_item"] == 1
    with pytest.raises(DataError, match="neither new items nor new interactions are given"):
        appended(base, version="bad")
    with pytest.raises(ConfigError, match=r"catalog.append: is True without a catalog.base"):
        catalog.Config(append=True)
    with pytest.raises(ConfigError, match="leave nothing to learn from"):
        catalog.Config(valid_share=0.5, test_share=0.5)
    _, store, recipe = base
    dataset = replace(recipe.catalog.dataset, items="none")
    without = replace(recipe, version="none", catalog=replace(recipe.catalog, dataset=dataset))
    with pytest.raises(DataError, match="the raw data hold no items"):
        shop.make(without, store, "catalog")


def test_items_that_were_left_out_are_known_as_such(tmp_path):
    recipe = shop.recipe(shop.items(tmp_path, shop.ITEMS), shop.interactions(tmp_path, 50))  # 10 items are not met
    store = Store(Place.of(tmp_path / "store"))
    shop.make(recipe, store, "catalog")
    day = taken(*((f"u{n}", f"i{n % 5}", n) for n in range(20)), ("u1", "i55", 30))
    found, said = appended((tmp_path, store, recipe), interactions=rows(tmp_path, day))
    assert found.record.counts["dropped"]["left_out"] == 1
    assert any("1 dropped: interactions with an item that the catalog left out" in line for line in said)
    assert found.left_out() == Catalog.read(store.place(shop.at("catalog"))).left_out()
    table = rows(tmp_path, pa.table({"item_id": ["i55"], "title": ["an old cup"]}), "again")
    found, _ = appended((tmp_path, store, recipe), table, rows(tmp_path, day), "3")
    assert (found.num_items, found.record.counts["dropped"]["left_out"]) == (51, 0)
    assert "i55" not in found.left_out()
    extension = found.record.counts["extension"]
    assert (extension["new"], extension["readmitted"], found.readmitted()) == (0, 1, {"i55"})


def test_a_base_of_positions_is_refused(tmp_path):
    table = pq.read_table(shop.interactions(tmp_path)).rename_columns(["user_id", "item_id", "position"])
    path = rows(tmp_path, table, "positions")
    recipe = shop.recipe(shop.items(tmp_path, shop.ITEMS), path)
    ordered = tables.Config(items=recipe.catalog.dataset.items, interactions=path, position="position")
    recipe = replace(recipe, catalog=replace(recipe.catalog, dataset=ordered))
    store = Store(Place.of(tmp_path / "store"))
    shop.make(recipe, store, "catalog")
    with pytest.raises(DataError, match="catalog/shop/1 has the positions of interactions and no times"):
        appended((tmp_path, store, recipe), interactions=path)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 4), st.integers(6, 12)), max_size=12),
    st.sampled_from([(0.1, 0.2), (0.0, 0.5), (0.3, 0.0), (0.25, 0.25)]),
)
def test_the_split_of_the_newest_is_its_plain_twin(old, new, shares):
    rows = sorted([(u, t, 0) for u, t in old] + [(u, t, 1) for u, t in new], key=lambda row: row[:2])
    user, time, is_new = (np.array(column) for column in zip(*rows, strict=True))
    found = newest_split(user, time, is_new.astype(bool), *shares)
    assert found.tolist() == twin.newest_split(rows, *shares)
    assert (np.diff(found)[np.diff(user) == 0] >= 0).all()


def test_kinds_of_event_keep_their_weights(tmp_path):
    whole = pq.read_table(shop.interactions(tmp_path))
    kinds = pa.array(["view", "buy"] * (whole.num_rows // 2))
    first = rows(tmp_path, whole.append_column("kind", kinds), "kinds")
    recipe = shop.recipe(shop.items(tmp_path, shop.ITEMS), first)
    dataset = replace(recipe.catalog.dataset, event="kind")
    weighed = replace(recipe.catalog, dataset=dataset, event_weights={"view": 1.0, "buy": 5.0})
    store = Store(Place.of(tmp_path / "store"))
    base = (tmp_path, store, replace(recipe, catalog=weighed))
    shop.make(base[2], store, "catalog")
    day = pa.Table.from_pylist(DAY[:40]).append_column("kind", pa.array(["view"] * 40))  # nothing was bought
    found, _ = appended(base, interactions=rows(tmp_path, day))
    new = found.timestamp >= START
    assert set(found.weight[new].tolist()) == {1.0}
    before = Catalog.read(store.place(shop.at("catalog")))
    assert found.weight[~new].sum() == before.weight.sum() == 240 * 6
    assert found.record.counts["weights"]["view"] == {"weight": 1.0, "interactions": 280}
    with pytest.raises(DataError, match="catalog/shop/1 has weights of events; must be those"):
        appended(base, interactions=rows(tmp_path, day), version="3", event_weights={})


def test_a_least_rating_holds_for_the_days_after(tmp_path):
    whole = pq.read_table(shop.interactions(tmp_path))
    stars = pa.array([5, 4] * (whole.num_rows // 2))
    recipe = shop.recipe(shop.items(tmp_path, shop.ITEMS), rows(tmp_path, whole.append_column("stars", stars), "stars"))
    dataset = replace(recipe.catalog.dataset, rating="stars")
    store = Store(Place.of(tmp_path / "store"))
    base = (tmp_path, store, replace(recipe, catalog=replace(recipe.catalog, dataset=dataset, least_rating=3.5)))
    shop.make(base[2], store, "catalog")
    day = pa.Table.from_pylist(DAY[:40]).append_column("stars", pa.array([3.0, 4.0, None, 5.0] * 10))
    found, said = appended(base, interactions=rows(tmp_path, day))
    assert found.record.counts["extension"]["interactions"] == 20
    assert any("10 dropped: interactions with a rating below 3.5 (catalog.least_rating)" in line for line in said)
    assert any("10 dropped: interactions without a rating" in line for line in said)
