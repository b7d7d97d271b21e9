"""A trie over semantic ids as flat tensors: the allowed codes after any prefixes, in one batched look-up.

Items are sorted by semantic id, so that the children of a node, and the leaves below it, are contiguous: a level is
a CSR over the nodes of the one above, and a child's number is its parent's first child plus its place among them.
Nodes of the last level are leaves, one an item, in semantic-id order. Where a level's nodes are few, its whole answer
is a table besides, and a step is a copy of rows; where its entries are every code in turn, no code is copied.
N items, L levels, R rows (nodes looked up), W the most children that a node of a level has, K codes of a level.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from unisid.ops.prefixes import lexicographic_order

TABLE = 1 << 21
"""Most entries of a level's table, of 17 bytes each: commonly the first two levels have one."""
LEAST_IN_ORDER = 1 << 18
"""Entries of a table from which on a child lies at the place of its code, if a node has as many as there are codes."""
LEVEL, OF_TABLE = ("codes", "first_child", "first_leaf"), "table-"
TABLE_PARTS = tuple(OF_TABLE + name for name in ("codes", "nodes", "valid"))
"""The names of a level's tensors, and of its table's."""


@dataclass(frozen=True)
class Children:
    """What may follow R nodes; entries that are not `valid` have the node of the first child."""

    codes: Int[Tensor, "R W"]
    nodes: Int[Tensor, "R W"]
    valid: Bool[Tensor, "R W"]
    in_order: bool = False
    """Whether every row of `codes` is 0, 1, 2, ...: it is then one row, expanded."""

    @classmethod
    def table(cls, codes: Int[Tensor, "R W"], nodes: Int[Tensor, "R W"], valid: Bool[Tensor, "R W"]) -> "Children":
        """Those of all nodes, with their codes seen to be in order where they are."""
        turn = torch.arange(codes.shape[1], device=codes.device).expand_as(codes)
        return cls(turn, nodes, valid, in_order=True) if torch.equal(codes, turn) else cls(codes, nodes, valid)

    def of(self, rows: Int[Tensor, " R"]) -> "Children":
        """Those of some rows, in order."""
        nodes, valid = self.nodes.index_select(0, rows), self.valid.index_select(0, rows)
        codes = self.codes[:1].expand(len(rows), -1) if self.in_order else self.codes.index_select(0, rows)
        return Children(codes, nodes, valid, self.in_order)

    def by_code(self, values: Shaped[Tensor, "r K"], rows: slice = slice(None)) -> Shaped[Tensor, "r W"]:
        """Of values by code, those of the entries of some rows."""
        if self.in_order:  # a copy: a view would hold the values of the whole vocabulary
            return values[:, : self.codes.shape[1]].clone()
        return values.gather(1, self.codes[rows])

    def to(self, device: torch.device) -> "Children":
        return Children(self.codes.to(device), self.nodes.to(device), self.valid.to(device), self.in_order)


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
    table: Children | None = None
    """The children of every parent, where they are few enough to be laid out."""

    def __len__(self) -> int:
        return len(self.codes)

    def to(self, device: torch.device) -> "Level":
        return Level(
            self.codes.to(device),
            self.first_child.to(device),
            self.first_leaf.to(device),
            self.width,
            self.table and self.table.to(device),
        )


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
        return _children(here, nodes) if here.table is None else here.table.of(nodes)

    def arrays(self) -> dict[str, Tensor]:
        """All its tensors, by the names that `of` reads."""
        found = {"items": self.items, "leaves": self.leaves}
        for number, level in enumerate(self.levels):
            parts = {name: getattr(level, name) for name in LEVEL}
            if level.table is not None:
                parts |= {name: getattr(level.table, name[len(OF_TABLE) :]) for name in TABLE_PARTS}
            found |= {f"{number}-{name}": values for name, values in parts.items()}
        return found

    @classmethod
    def of(cls, arrays: Mapping[str, Tensor]) -> "Trie":
        """The trie of `arrays`, which are used as they are."""
        levels: list[Level] = []
        while f"{len(levels)}-codes" in arrays:
            codes, first_child, first_leaf = (arrays[f"{len(levels)}-{name}"] for name in LEVEL)
            table = [arrays[name] for part in TABLE_PARTS if (name := f"{len(levels)}-{part}") in arrays]
            width = int(first_child.diff().max())
            levels.append(Level(codes, first_child, first_leaf, width, Children.table(*table) if table else None))
        return cls(tuple(levels), arrays["items"], arrays["leaves"])

    def to(self, device: torch.device) -> "Trie":
        levels = tuple(level.to(device) for level in self.levels)
        return Trie(levels, self.items.to(device), self.leaves.to(device))


def build(codes: Int[Tensor, "N L"]) -> Trie:
    """The trie of unique codes; asserts their uniqueness, which `write_codes` has made sure of."""
    num_items, rows = len(codes), codes.int().numpy()
    order = lexicographic_order(rows)
    columns = torch.from_numpy(np.ascontiguousarray(np.take(rows, order, axis=0).T)).unbind(0)
    begins = torch.zeros(num_items, dtype=torch.bool)
    begins[:1] = True
    first_leaf = [torch.tensor([0, num_items])]
    for column in columns:
        begins[1:] |= column[1:] != column[:-1]
        first_leaf.append(torch.cat([begins.nonzero()[:, 0], torch.tensor([num_items])]))
    assert len(first_leaf[-1]) == num_items + 1, "two items share a semantic id"
    levels = tuple(
        _level(column, above, below) for column, above, below in zip(columns, first_leaf, first_leaf[1:], strict=False)
    )
    items = torch.from_numpy(order.astype(np.int32))
    leaves = torch.empty_like(items)
    leaves[items] = torch.arange(num_items, dtype=torch.int32)
    return Trie(levels, items, leaves)


def _level(ordered: Tensor, above: Tensor, below: Tensor) -> Level:
    """From the level's codes by leaf, and the first leaves of the nodes above and of its own."""
    first_child = torch.searchsorted(below, above)
    width = int(first_child.diff().max())
    level = Level(ordered[below[:-1]], first_child.int(), below.int(), width)
    parents = len(first_child) - 1
    if parents * width > TABLE:
        return level
    has_all = parents * width >= LEAST_IN_ORDER and width == int(level.codes.max()) + 1
    children = _at_their_codes(level) if has_all else _children(level, torch.arange(parents))
    return replace(level, table=Children.table(children.codes, children.nodes, children.valid))


def _at_their_codes(level: Level) -> Children:
    """The children of every parent, each at the place of its code."""
    first, count = level.first_child[:-1], level.first_child.diff()
    shape = (len(first), level.width)
    parent, codes = torch.arange(len(first)).repeat_interleave(count), level.codes.long()
    nodes, valid = first[:, None].long().repeat(1, level.width), torch.zeros(shape, dtype=torch.bool)
    nodes[parent, codes] = torch.arange(len(level))
    valid[parent, codes] = True
    return Children(torch.arange(level.width).expand(shape), nodes, valid)


def _children(level: Level, parents: Int[Tensor, " R"]) -> Children:
    first, end = level.first_child[parents, None], level.first_child[parents + 1, None]
    nodes = first + torch.arange(level.width, device=parents.device)
    valid = nodes < end
    nodes = torch.where(valid, nodes, first).long()
    return Children(level.codes[nodes].long(), nodes, valid)
