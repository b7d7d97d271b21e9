from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import trie as reference
from unisid.decoding import trie
from unisid.decoding.trie import Children


@st.composite
def indices(draw) -> list[tuple[int, ...]]:
    """Unique semantic ids of one to four levels, in any order."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    code = st.tuples(*(st.integers(0, size - 1) for size in sizes))
    return draw(st.lists(code, min_size=1, max_size=40, unique=True))


@settings(deadline=None, max_examples=60)
@given(indices(), st.sampled_from([0, 12, trie.TABLE]), st.sampled_from([0, 5, trie.LEAST_IN_ORDER]))
def test_every_prefix_has_the_children_of_the_dictionary_trie(codes, table, least):
    with patch.object(trie, "TABLE", table), patch.object(trie, "LEAST_IN_ORDER", least):
        built, twin = trie.build(torch.tensor(codes)), reference.build(codes)
    assert [level.table is not None for level in built.levels] == [
        above * level.width <= table for above, level in zip([1, *map(len, built.levels)], built.levels, strict=False)
    ]
    prefixes = [()]
    nodes = torch.zeros(1, dtype=torch.long)
    for level in range(len(codes[0])):
        children = built.step(level, nodes)
        below, below_nodes = [], []
        for row, prefix in enumerate(prefixes):
            valid = children.valid[row]
            assert children.codes[row][valid].tolist() == reference.allowed(twin, prefix)
            below += [(*prefix, code) for code in children.codes[row][valid].tolist()]
            below_nodes += children.nodes[row][valid].tolist()
        prefixes, nodes = below, torch.tensor(below_nodes)
    assert [codes[item] for item in built.items[nodes].tolist()] == prefixes


@settings(deadline=None, max_examples=40)
@given(indices())
def test_the_leaves_below_a_node_are_the_items_of_its_prefix(codes):
    built = trie.build(torch.tensor(codes))
    ordered = sorted(codes)
    for depth, level in enumerate(built.levels):
        for node in range(len(level)):
            below = built.items[int(level.first_leaf[node]) : int(level.first_leaf[node + 1])].tolist()
            prefix = codes[below[0]][: depth + 1]
            assert sorted(codes[item] for item in below) == [c for c in ordered if c[: depth + 1] == prefix]
    assert built.leaves[built.items.long()].tolist() == list(range(len(codes)))


@settings(deadline=None, max_examples=60)
@given(indices(), st.integers(0, 2**32 - 1))
def test_tables_in_the_order_of_codes_say_what_packed_ones_say(codes, seed):
    """Up to the places of what is not valid; and values by code are those that a gather would give."""
    with patch.object(trie, "LEAST_IN_ORDER", 0):
        ordered = trie.build(torch.tensor(codes))
    packed = trie.build(torch.tensor(codes))
    again = trie.Trie.of(ordered.arrays())
    generator, above = torch.Generator().manual_seed(seed), 1
    for level, (one, other) in enumerate(zip(ordered.levels, packed.levels, strict=True)):
        rows = torch.randint(above, (7,), generator=generator)
        has_all = one.width == int(one.codes.max()) + 1
        assert one.table.in_order or not has_all
        found, twin, read = ordered.step(level, rows), packed.step(level, rows), again.step(level, rows)
        assert (read.in_order, read.codes.tolist()) == (found.in_order, found.codes.tolist())
        for part in ("codes", "nodes"):
            of = [getattr(each, part)[each.valid].tolist() for each in (found, twin, read)]
            assert of[0] == of[1] == of[2]
        assert (
            found.nodes[~found.valid] == other.first_child[rows].long()[:, None].expand_as(found.nodes)[~found.valid]
        ).all()
        values = torch.randn(7, one.width if found.in_order else int(one.codes.max()) + 1, generator=generator)
        assert torch.equal(found.by_code(values), values.gather(1, found.codes))
        assert torch.equal(twin.by_code(values[2:5], slice(2, 5)), values[2:5].gather(1, twin.codes[2:5]))
        above = len(one)


def test_only_large_tables_have_their_children_at_the_places_of_their_codes():
    codes = torch.cartesian_prod(torch.arange(600), torch.arange(600))[:-1]
    [_, level] = trie.build(codes).levels
    assert level.table.in_order
    assert level.table.valid.sum() == len(codes)
    assert not level.table.valid[599, 599]
    [_, level] = trie.build(codes[: 600 * 100 + 5]).levels
    assert not level.table.in_order
    assert level.table.valid[100].tolist() == [True] * 5 + [False] * 595


def test_a_trie_that_moves_takes_its_tables_along():
    built = trie.build(torch.tensor([[0, 0], [0, 1], [0, 5], [3, 2]]))
    moved = built.to(torch.device("meta"))
    for before, after in zip(built.levels, moved.levels, strict=True):
        assert after.table.nodes.device.type == after.codes.device.type == "meta"
        assert after.table.nodes.shape == before.table.nodes.shape


def test_values_by_code_hold_no_more_than_they_are():
    """Not the storage of a vocabulary that they were taken from."""
    turn = torch.arange(3).expand(2, 3)
    values = torch.randn(2, 1000)
    for children in (Children.table(turn, turn, turn >= 0), Children(turn, turn, turn >= 0)):
        found = children.by_code(values)
        assert torch.equal(found, values[:, :3])
        assert found.untyped_storage().nbytes() == found.numel() * found.element_size()


def test_a_level_is_as_wide_as_its_busiest_node():
    built = trie.build(torch.tensor([[0, 0], [0, 1], [0, 5], [3, 2]]))
    assert [level.width for level in built.levels] == [2, 3]
    children = built.step(1, torch.tensor([1, 0]))
    assert children.valid.tolist() == [[True, False, False], [True, True, True]]
    assert children.codes[1].tolist() == [0, 1, 5]


def test_a_shared_semantic_id_is_an_error_of_ours():
    with pytest.raises(AssertionError, match="share a semantic id"):
        trie.build(torch.tensor([[1, 2], [1, 2]]))
