"""The tree of semantic ids as a hierarchical softmax: one softmax over the children of each node on an item's path.

    p(item | state) = product over levels of softmax over the children of the node above

Whatever is added to a node's logit may depend on the items below it: a leaf's place in semantic-id order makes "below"
a range, and a sum over it the difference of two running sums. N items, L levels, P positions, J items with values,
X nodes looked at, B samples.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unisid.decoding.trie import Level, Trie


def paths(trie: Trie) -> Int[Tensor, "N L"]:
    """Every item's node at every level."""
    leaves = trie.leaves.long()
    found = [torch.searchsorted(level.first_leaf[1:].long(), leaves, right=True) for level in trie.levels]
    return torch.stack(found, 1)


def parents(level: Level) -> Int[Tensor, " nodes"]:
    """The node above of every node of a level."""
    counts = level.first_child.diff()
    return torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)


@dataclass(frozen=True)
class Children:
    """The children of some nodes, end to end."""

    row: Int[Tensor, " X"]
    """The parent of each child, as a position among the given nodes, ascending."""
    node: Int[Tensor, " X"]

    @classmethod
    def of(cls, level: Level, above: Int[Tensor, " P"]) -> "Children":
        """Those, in a level, of nodes of the level above."""
        first = level.first_child[above].long()
        counts = level.first_child[above + 1].long() - first
        row = torch.repeat_interleave(torch.arange(len(above), device=above.device), counts)
        start = counts.cumsum(0) - counts
        return cls(row, torch.arange(len(row), device=above.device) - start[row] + first[row])


def segment_log_softmax(logits: Float[Tensor, "X *B"], segment: Int[Tensor, " X"], count: int) -> Float[Tensor, "X *B"]:
    """log softmax within segments along the first axis; `count` segments, every one with an entry."""
    where = segment.view(-1, *[1] * (logits.dim() - 1)).expand_as(logits)
    top = logits.new_full((count, *logits.shape[1:]), -torch.inf).scatter_reduce(0, where, logits.detach(), "amax")
    shifted = logits - top.index_select(0, segment)
    total = logits.new_zeros((count, *logits.shape[1:])).index_add(0, segment, shifted.exp())
    return shifted - total.log().index_select(0, segment)


@dataclass(frozen=True)
class Below:
    """Values on some items of every row, and their sums below any nodes."""

    keys: Int[Tensor, " entries"]
    """row * N + leaf, ascending."""
    sums: Float[Tensor, " entries_and_start"]
    """Running sums of the values, in float64."""
    num_items: int

    @classmethod
    def of(cls, trie: Trie, items: Int[Tensor, "P J"], values: Float[Tensor, "P J"]) -> "Below":
        """Values on items; the same item may have several, which add up."""
        rows = torch.arange(len(items), device=items.device)[:, None]
        keys = (rows * len(trie.items) + trie.leaves[items].long()).flatten()
        keys, order = keys.sort()
        sums = values.flatten()[order].double().cumsum(0)
        return cls(keys, torch.cat([sums.new_zeros(1), sums]), len(trie.items))

    def sum(self, level: Level, rows: Int[Tensor, "*x"], nodes: Int[Tensor, "*x"]) -> Float[Tensor, "*x"]:
        """The sum of a row's values on the items below a node of a level."""
        base = rows * self.num_items
        first = torch.searchsorted(self.keys, base + level.first_leaf[nodes].long())
        end = torch.searchsorted(self.keys, base + level.first_leaf[nodes + 1].long())
        found: Tensor = (self.sums[end] - self.sums[first]).float()
        return found


def sizes_below(level: Level) -> Float[Tensor, " nodes"]:
    """How many items lie below every node of a level."""
    return level.first_leaf.diff().float()
