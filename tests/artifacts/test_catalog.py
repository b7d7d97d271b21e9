"""The catalog beside plain Python: samples, histories, edges and weights; damage is said with its place."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stages import ring
from unisid.artifacts.catalog import FUTURE_WINDOW, TEST, TRAIN, VALID, Catalog, write_interactions
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Place
from unisid.errors import ArtifactError

N = 7
baskets = st.lists(st.lists(st.integers(0, N - 1), min_size=1, max_size=9), min_size=1, max_size=5)


@dataclasses.dataclass
class Users:
    """Items and labels of every user, and the catalog that holds them."""

    items: list[list[int]]
    labels: list[list[int]]
    catalog: Catalog


@st.composite
def users(draw: st.DrawFn) -> Users:
    """Labels in time order: training, then validation, then test."""
    items = draw(baskets)
    labels = [sorted(draw(st.lists(st.sampled_from([0, 1, 2]), min_size=len(b), max_size=len(b)))) for b in items]
    return Users(items, labels, catalog_of(items, labels))


def catalog_of(items, labels, protocol="leave-one-out", length=3) -> Catalog:
    """A catalog in memory: its columns are given, its record says the rest."""
    record = Record(
        address="catalog/plain/1",
        config={"history_length": length, "protocol": protocol},
        inputs={},
        counts={"items": N, "users": len(items)},
    )
    lengths = [len(each) for each in items]
    return Catalog(Place("memory://nowhere"), record).with_columns(
        user=np.repeat(np.arange(len(items)), lengths).astype(np.int32),
        item=np.concatenate(items).astype(np.int32),
        split=np.concatenate(labels).astype(np.int8),
    )


def flat(world: Users) -> list[tuple[int, int, int]]:
    """(user, place in the user's row, label) of every interaction."""
    return [(u, place, label) for u, row in enumerate(world.labels) for place, label in enumerate(row)]


@given(users())
def test_samples_are_all_rows_but_a_users_first_and_histories_what_is_before(world):
    for split in (TRAIN, VALID, TEST):
        rows = world.catalog.samples(split)
        wanted = [(u, p) for u, p, label in flat(world) if label == split and p > 0]
        found = world.catalog.user[rows]
        assert list(zip(found.tolist(), (rows - world.catalog.offsets[found]).tolist(), strict=True)) == wanted
        past, lengths = world.catalog.past(rows)
        assert lengths.tolist() == [p for _, p in wanted] == world.catalog.past_lengths(rows).tolist()
        assert past.tolist() == [item for u, p in wanted for item in world.items[u][:p]]
        kept, lengths = world.catalog.history(rows)
        assert lengths.tolist() == [min(3, p) for _, p in wanted]
        assert kept.tolist() == [item for u, p in wanted for item in world.items[u][max(0, p - 3) : p]]


@given(users())
def test_under_a_future_window_a_history_ends_where_its_window_begins(world):
    catalog = catalog_of(world.items, world.labels, FUTURE_WINDOW)
    for split in (VALID, TEST):
        begins = [sum(label < split for label in row) for row in world.labels]
        wanted = [u for u, _, label in flat(world) if label == split and begins[u] > 0]
        kept, lengths = catalog.past(catalog.samples(split))
        assert lengths.tolist() == [begins[u] for u in wanted]
        assert kept.tolist() == [item for u in wanted for item in world.items[u][: begins[u]]]


@given(users(), st.data())
def test_edges_are_distinct_pairs_and_weigh_what_their_heaviest_interaction_weighs(world, data):
    size = len(world.catalog.item)
    weights = data.draw(st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=size, max_size=size))
    catalog = world.catalog.with_columns(**(vars(world.catalog) | {"weight": np.array(weights)}))
    heaviest: dict[tuple[int, int], float] = {}
    for user, item, split, weight in zip(catalog.user, catalog.item, catalog.split, weights, strict=True):
        if split == TRAIN:
            pair = (int(user), int(item))
            heaviest[pair] = max(weight, heaviest.get(pair, 0.0))
    found = list(zip(*(column.tolist() for column in catalog.training_edges()), strict=True))
    assert found == sorted(heaviest)
    assert catalog.training_weights().tolist() == [heaviest[pair] for pair in found]


def test_a_smaller_draw_of_samples_lies_within_a_larger_and_in_order():
    rows = ring.walks(60, N)
    catalog = catalog_of(rows, [[0] * len(row) for row in rows])
    few, more, every = (catalog.samples(TRAIN, most) for most in (20, 50, 0))
    assert (len(few), len(more)) == (20, 50)
    assert set(few) < set(more) < set(every)
    assert (np.diff(few) > 0).all()
    assert (catalog.samples(TRAIN, 10_000) == every).all()


@pytest.mark.parametrize(
    ("columns", "read", "message"),
    [
        ({"item": [0, N]}, "item", f"column 'item' reaches from 0 to {N}, must lie in 0 to {N - 1}"),
        ({"user": [-1, 0]}, "user", "column 'user' reaches from -1 to 0, must lie in 0 to 1"),
        ({"split": [0, 3]}, "split", "column 'split' reaches from 0 to 3, must lie in 0 to 2"),
        ({"weight": [1.0, 0.0]}, "weight", "column 'weight' holds numbers that are not above 0 and finite"),
        ({"weight": [np.nan, 1.0]}, "weight", "column 'weight' holds numbers that are not above 0 and finite"),
    ],
)
def test_numbers_that_cannot_be_are_damage(place, columns, read, message):
    whole = {"user": [0, 1], "item": [0, 1], "timestamp": [0, 1], "split": [0, 0], "weight": [1.0, 1.0]} | columns
    write_interactions(place, **{name: np.array(values) for name, values in whole.items()})
    counts = {"items": N, "users": 2, "weights": {"click": 1.0}}
    write_record(place, Record(address="catalog/a/1", config={"history_length": 3}, inputs={}, counts=counts))
    with pytest.raises(ArtifactError) as raised:
        getattr(Catalog.read(place), read)
    assert str(raised.value).startswith(f"{place}/interactions-")
    assert message in str(raised.value)
    if read != "split":
        with pytest.raises(ArtifactError) as by_group:
            list(Catalog.read(place).interactions(("user", "item", "timestamp", "weight")))
        assert str(by_group.value) == str(raised.value)


def test_interactions_by_group_are_the_columns(place, monkeypatch):
    monkeypatch.setattr("unisid.artifacts.catalog.INTERACTIONS_PER_GROUP", 4)
    read = Catalog.read(ring.write_catalog(place, ring.walks(5, N), N))
    groups = list(read.interactions(("user", "item", "timestamp")))
    assert max(group.num_rows for group in groups) == 4
    for name in ("user", "item", "timestamp"):
        assert np.concatenate([group[name].to_numpy() for group in groups]).tolist() == getattr(read, name).tolist()


def test_a_table_with_other_rows_than_the_record_says_is_damage(place):
    ring.write_catalog(place, [[0, 1, 2]], N)
    record = Catalog.read(place).record
    write_record(place, dataclasses.replace(record, counts=record.counts | {"items": N + 1}))
    with pytest.raises(ArtifactError, match=f"says {N + 1} items, the table 'items' has {N}"):
        _ = Catalog.read(place).titles
