"""Distinct codes against all permutations; placing against its twin; the laws of both."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import assignment as twin
from unisid.ops.assignment import (
    distinct_codes,
    ordinals,
    place_within_load,
    place_within_room,
    positions_in_run,
    run_starts,
)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(0, 2), st.integers(0, 10_000), st.booleans())
def test_distinct_codes_are_optimal(count, spare, seed, whole):
    random = np.random.default_rng(seed)
    shape = (count, count + spare)
    distances = random.integers(0, 4, shape).astype(float) if whole else random.random(shape)
    codes = distinct_codes(distances, np.array([0, count]))
    assert len(set(codes.tolist())) == count
    assert distances[np.arange(count), codes].sum() == pytest.approx(twin.least_total(distances), abs=1e-12)
    greedy = twin.greedy(distances)
    assert distances[np.arange(count), codes].sum() <= distances[np.arange(count), greedy].sum() + 1e-12


def test_groups_are_assigned_each_for_itself():
    distances = np.random.default_rng(0).random((10, 6))
    together = distinct_codes(distances, np.array([0, 4, 4, 10]))
    apart = [distinct_codes(distances[a:b], np.array([0, b - a])) for a, b in ((0, 4), (4, 10))]
    assert together.tolist() == np.concatenate(apart).tolist()


def test_a_code_without_room_is_given_to_no_item():
    """As if its column were not there, group by group."""
    distances = np.random.default_rng(1).random((6, 5))
    room = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 1, 1]])
    codes = distinct_codes(distances, np.array([0, 3, 6]), room)
    for group, rows in enumerate((slice(0, 3), slice(3, 6))):
        free = np.flatnonzero(room[group])
        assert set(codes[rows].tolist()) <= set(free.tolist())
        total = distances[np.arange(6)[rows], codes[rows]].sum()
        assert total == pytest.approx(twin.least_total(distances[rows][:, free]))


def test_distinct_nearest_codes_are_kept():
    distances = np.array([[0.1, 0.9, 0.8], [0.7, 0.2, 0.9]])
    assert distinct_codes(distances, np.array([0, 2])).tolist() == [0, 1]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 15), st.lists(st.integers(0, 5), min_size=1, max_size=5), st.integers(0, 10_000))
def test_placing_is_its_twin_and_keeps_to_the_room(count, room, seed):
    count = min(count, sum(room))
    distances = np.random.default_rng(seed).integers(0, 5, (count, len(room))).astype(float)
    before = np.array(room)
    codes = place_within_room(distances, before)
    assert codes.tolist() == twin.place_within_room(distances.tolist(), room)
    assert (np.bincount(codes, minlength=len(room)) <= room).all()
    assert before.tolist() == room


def test_a_full_code_sheds_its_farthest_to_the_next_nearest():
    distances = np.array([[1.0, 5.0, 9.0], [3.0, 4.0, 9.0], [2.0, 8.0, 7.0]])
    assert place_within_room(distances, np.array([2, 1, 1])).tolist() == [0, 1, 0]
    assert place_within_room(distances, np.array([1, 1, 1])).tolist() == [0, 1, 2]


@given(st.lists(st.integers(0, 4)))
def test_runs_and_ordinals(keys):
    ascending = np.array(sorted(keys), np.int64)
    expected = [ascending[:n].tolist().count(key) for n, key in enumerate(ascending.tolist())]
    assert positions_in_run(ascending).tolist() == expected
    starts = run_starts(ascending)
    assert [ascending[a] for a in starts[:-1]] == sorted(set(keys))
    assert starts[-1] == len(keys)
    assert ordinals(np.array(keys, np.int64)).tolist() == [keys[:n].count(key) for n, key in enumerate(keys)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), max_size=15), st.integers(1, 5), st.integers(0, 10_000))
def test_placing_by_load_is_its_twin_and_no_code_holds_more_than_its_room_and_its_last_item(loads, size, seed):
    distances = np.random.default_rng(seed).integers(0, 5, (len(loads), size)).astype(float)
    each, room = np.array(loads, np.int64), np.full(size, -(-sum(loads) // size))
    before = room.copy()
    codes = place_within_load(distances, each, room)
    assert codes.tolist() == twin.place_within_load(distances.tolist(), loads, room.tolist())
    held = np.bincount(codes, weights=each, minlength=size)
    heaviest = [each[codes == code].max(initial=1) for code in range(size)]
    assert (held < room + heaviest).all()
    assert (room == before).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 15), st.lists(st.integers(0, 5), min_size=1, max_size=5), st.integers(0, 10_000))
def test_where_every_item_weighs_one_placing_by_load_is_placing_by_room(count, room, seed):
    count = min(count, sum(room))
    distances = np.random.default_rng(seed).integers(0, 5, (count, len(room))).astype(float)
    by_load = place_within_load(distances, np.ones(count, np.int64), np.array(room))
    assert by_load.tolist() == place_within_room(distances, np.array(room)).tolist()
