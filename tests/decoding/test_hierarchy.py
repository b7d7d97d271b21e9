import torch

from tests.decoding.test_beam import random_codes
from unisid.decoding import trie
from unisid.decoding.hierarchy import Below, Children, parents, paths, segment_log_softmax, sizes_below

SIZES = (5, 4, 6)
CODES = random_codes(70, seed=3, sizes=SIZES)
TRIE = trie.build(CODES)
PREFIXES = [sorted({tuple(row[: level + 1]) for row in CODES.tolist()}) for level in range(3)]
"""Every level's nodes: prefixes in order."""


def test_a_path_is_the_numbers_of_an_items_prefixes():
    expected = [[PREFIXES[level].index(tuple(row[: level + 1])) for level in range(3)] for row in CODES.tolist()]
    assert paths(TRIE).tolist() == expected


def test_a_parent_is_the_prefix_without_its_last_code():
    assert parents(TRIE.levels[0]).tolist() == [0] * len(PREFIXES[0])
    for level in (1, 2):
        expected = [PREFIXES[level - 1].index(prefix[:-1]) for prefix in PREFIXES[level]]
        assert parents(TRIE.levels[level]).tolist() == expected


def test_children_lie_end_to_end_in_the_order_of_their_parents():
    above = torch.tensor([3, 0, 3])
    found = Children.of(TRIE.levels[1], above)
    expected = [
        (row, node)
        for row, parent in enumerate(above.tolist())
        for node, prefix in enumerate(PREFIXES[1])
        if prefix[:-1] == PREFIXES[0][parent]
    ]
    assert list(zip(found.row.tolist(), found.node.tolist(), strict=True)) == expected


def test_the_softmax_of_segments_is_each_ones_own():
    torch.manual_seed(0)
    segment = torch.tensor([0, 0, 0, 1, 2, 2])
    for logits in (torch.randn(6) * 50, torch.randn(6, 4) * 50):
        found = segment_log_softmax(logits, segment, 3)
        for number in range(3):
            assert torch.allclose(found[segment == number], logits[segment == number].log_softmax(0), atol=1e-5)


def test_sums_below_nodes_are_over_the_items_below():
    torch.manual_seed(0)
    items = torch.randint(70, (4, 9))  # with repetitions, which add up
    values = torch.randn(4, 9, requires_grad=True)
    below = Below.of(TRIE, items, values)
    way = paths(TRIE)
    for number, level in enumerate(TRIE.levels):
        rows = torch.arange(4)[:, None].expand(4, len(level))
        nodes = torch.arange(len(level)).expand(4, len(level))
        expected = torch.zeros(4, len(level)).scatter_add(1, way[items, number], values)
        assert torch.allclose(below.sum(level, rows, nodes), expected, atol=1e-5)
        assert sizes_below(level).tolist() == torch.bincount(way[:, number]).tolist()
    below.sum(TRIE.levels[0], torch.zeros(1, dtype=torch.long), way[items[:1, 0], 0]).sum().backward()
    assert values.grad[0, 0] == 1
