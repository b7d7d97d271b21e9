"""A trie over semantic ids as flat tensors: the allowed codes after any prefixes, in one batched look-up.

Items are sorted by semantic id, so that the children of a node, and the leaves below it, are contiguous: a level is
a CSR over the nodes of the one above, and a child's number is its parent's first child plus its place among them.
Nodes of the last level are leaves, one an item, in semantic-id order. N items, L levels, R rows (nodes looked up),
W the most children that a node of a level has.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True)
class Children:
    """What may follow R nodes; entries that are not `valid` repeat the node's first child."""

    codes: Int[Tensor, "R W"]
    nodes: Int[Tensor, "R W"]
    valid: Bool[Tensor, "R W"]


@dataclass(frozen=True)
class Level:
    """The nodes of one level, in semantic-id order."""

    codes: Int[Tensor, " nodes"]
    """The last code of every node's prefix."""
    first_child: Int[Tensor, " parents_and_end"]
    """Parent p's children are nodes first_child[p] to first_child[p + 1]; the parent of level 0 is the root, 0."""
    first_leaf: Int[Tensor, " nodes_and_end"]
    """Node n's leaves are first_leaf[n] to first_leaf[n + 1]."""
    width: int
    """The most children a parent has."""

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True)
class Trie:
    """All semantic ids of an index."""

    levels: tuple[Level, ...]
    items: Int[Tensor, " N"]
    """Leaf -> item."""
    leaves: Int[Tensor, " N"]
    """Item -> leaf."""

    def step(self, level: int, nodes: Int[Tensor, " R"]) -> Children:
        """The children, in a level, of R nodes of the level above. No loop over rows, no wait for the device."""
        here = self.levels[level]
        first, end = here.first_child[nodes, None], here.first_child[nodes + 1, None]
        children = first + torch.arange(here.width, device=nodes.device)
        valid = children < end
        children = torch.where(valid, children, first).long()
        return Children(here.codes[children].long(), children, valid)

    def to(self, device: torch.device) -> "Trie":
        levels = tuple(
            Level(level.codes.to(device), level.first_child.to(device), level.first_leaf.to(device), level.width)
            for level in self.levels
        )
        return Trie(levels, self.items.to(device), self.leaves.to(device))


def build(codes: Int[Tensor, "N L"]) -> Trie:
    """The trie of unique codes; asserts their uniqueness, which `write_codes` has made sure of."""
    num_items = len(codes)
    columns = [column.contiguous() for column in codes.int().unbind(1)]
    order = torch.arange(num_items)
    for column in reversed(columns):  # least significant level first: stable sorts add up to a lexicographic one
        order = order[torch.argsort(column[order], stable=True)]
    begins = torch.zeros(num_items, dtype=torch.bool)
    begins[:1] = True
    first_leaf = [torch.tensor([0, num_items])]
    for column in columns:
        ordered = column[order]
        begins[1:] |= ordered[1:] != ordered[:-1]
        first_leaf.append(torch.cat([begins.nonzero()[:, 0], torch.tensor([num_items])]))
    assert len(first_leaf[-1]) == num_items + 1, "two items share a semantic id"
    levels = tuple(
        _level(column[order], above, below)
        for column, above, below in zip(columns, first_leaf, first_leaf[1:], strict=False)
    )
    leaves = torch.empty_like(order)
    leaves[order] = torch.arange(num_items)
    return Trie(levels, order.int(), leaves.int())


def _level(ordered: Tensor, above: Tensor, below: Tensor) -> Level:
    """From the level's codes by leaf, and the first leaves of the nodes above and of its own."""
    first_child = torch.searchsorted(below, above)
    width = int(first_child.diff().max())
    return Level(ordered[below[:-1]], first_child.int(), below.int(), width)
