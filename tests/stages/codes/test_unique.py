"""Who must move for unique ids, how many ids are taken below a prefix, and parts that cut no group: by plain twins."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unisid.artifacts.store import Place
from unisid.ops.prefixes import row_keys
from unisid.stages.codes import unique
from unisid.stages.codes.unique import NONE_TAKEN, PLENTY, Taken, crowded, cut, room_below, slices

SIZES = (3, 2, 2)
ids = st.lists(st.tuples(*(st.integers(0, size - 1) for size in SIZES)), min_size=1, max_size=14)


def matrix(rows) -> np.ndarray:
    return np.array(rows, np.int32).reshape(-1, len(SIZES))


def crowded_plainly(codes, taken, level):
    """The items below every prefix of `level` codes where some code has more ids than room, prefix by prefix."""
    room = int(np.prod(SIZES[level + 1 :]))
    everyone = [*codes, *taken]
    groups = []
    for prefix in sorted({code[:level] for code in codes}):
        own = [n for n, code in enumerate(codes) if code[:level] == prefix]
        # a code that no item here wants is full at most: what is taken was unique
        wanted = {codes[n][: level + 1] for n in own}
        if any(sum(other[: level + 1] == code for other in everyone) > room for code in wanted):
            groups.append(own)
    return groups


@settings(max_examples=40)
@given(codes=ids, taken=st.sets(st.tuples(*(st.integers(0, size - 1) for size in SIZES)), max_size=6))
def test_the_items_of_crowded_prefixes(tmp_path_factory, codes, taken):
    held = NONE_TAKEN
    if taken:
        held = Taken.write(Place.of(tmp_path_factory.mktemp("taken")), matrix(sorted(taken)))
    for level in range(len(SIZES)):
        rows, starts = crowded(matrix(codes), SIZES, level, held)
        groups = [rows[a:b].tolist() for a, b in itertools.pairwise(starts)]
        assert sorted(groups) == sorted(crowded_plainly(codes, sorted(taken), level))


def test_the_worked_example():
    codes = np.array([[0, 0], [0, 1], [1, 0], [0, 0]], np.int32)
    for level, wanted in ((0, ([0, 1, 2, 3], [0, 4])), (1, ([0, 1, 3], [0, 3]))):
        rows, starts = crowded(codes, (2, 2), level)
        assert (rows.tolist(), starts.tolist()) == wanted


@settings(max_examples=20)
@given(taken=st.sets(st.tuples(*(st.integers(0, size - 1) for size in SIZES)), min_size=1))
def test_how_many_ids_are_taken_below_every_prefix(tmp_path_factory, taken):
    """Prefixes with none below and ids that were not in order are counted too."""
    shuffled = np.random.default_rng(0).permutation(matrix(sorted(taken)))
    held = Taken.write(Place.of(tmp_path_factory.mktemp("taken")), shuffled)
    assert len(held) == len(taken)
    for level in range(len(SIZES) + 1):
        prefixes = list(itertools.product(*(range(size) for size in SIZES[:level])))
        below = [sum(code[:level] == prefix for code in taken) for prefix in prefixes]
        array = np.array(prefixes, np.int32).reshape(len(prefixes), level)
        assert held.at(array).tolist() == below
        if level < len(SIZES):
            children = held.below(array, SIZES[level])
            assert children.sum(1).tolist() == below
            assert children[:, 0].tolist() == [sum(code[: level + 1] == (*p, 0) for code in taken) for p in prefixes]
    assert not NONE_TAKEN.at(np.zeros((2, 1), np.int32)).any()
    assert NONE_TAKEN.below(np.zeros((2, 1), np.int32), 5).shape == (2, 5)


@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=12), rows=st.integers(1, 9))
def test_parts_hold_whole_groups_in_order(lengths, rows):
    starts = np.concatenate([[0], np.cumsum(lengths)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unique, "PART_ROWS", rows)
        parts = cut(starts)
    edges = [part["start"] for part in parts] + [parts[-1]["stop"]]
    assert edges[0] == 0
    assert edges[-1] == sum(lengths)
    assert edges == sorted(set(edges))
    assert set(edges) <= set(starts.tolist())
    assert [part["stop"] for part in parts[:-1]] == edges[1:-1]
    assert max(b - a for a, b in itertools.pairwise(edges)) < rows + max(lengths)


def test_rooms_and_parts_of_ids():
    assert [room_below((4, 3, 2), level) for level in range(3)] == [6, 2, 1]
    assert room_below((256,) * 32, 0) == PLENTY
    assert slices((2, 3, 1)) == [slice(0, 2), slice(2, 5), slice(5, 6)]
    assert len(np.unique(row_keys(matrix([(0, 0, 0), (0, 0, 1), (0, 0, 0)])))) == 2
