"""Ragged matrices as a few rectangles: rows sorted by length, cut into buckets, padded inside a bucket only.

N items of n_i rows each, K where all have as many, T rows to take from, P padded rows in all (the sum of n_i and a
little more), D width.
"""

import functools
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

BUCKETS = 8
"""Padding falls with their number and the count of kernel launches rises; eight leave a few per cent of padding."""


@dataclass(frozen=True)
class Ragged:
    """N matrices of unlike length; bucket after bucket in `values`, ascending by length."""

    values: Float[Tensor, "P D"]
    """Padding rows are zero."""
    lengths: Int[Tensor, "N"]
    """Of the matrices as they lie in `values`."""
    shapes: tuple[tuple[int, int], ...]
    """(items, rows an item) of every bucket."""
    masks: tuple[Tensor | None, ...]
    """Which rows of a bucket are real, [b, n]; None where all are."""
    order: Int[Tensor, "N"] | None = None
    """The k-th matrix in `values` is item order[k]'s; None: the k-th item's."""

    @classmethod
    def rectangle(cls, values: Float[Tensor, "N K D"]) -> "Ragged":
        """Items that all have K rows: one bucket without padding."""
        items, rows, _ = values.shape
        lengths = torch.full((items,), rows, device=values.device)
        return cls(values.flatten(0, 1), lengths, ((items, rows),), (None,))

    def __len__(self) -> int:
        return len(self.lengths)

    def to(self, device: torch.device) -> "Ragged":
        masks = tuple(None if mask is None else mask.to(device) for mask in self.masks)
        order = None if self.order is None else self.order.to(device)
        return Ragged(self.values.to(device), self.lengths.to(device), self.shapes, masks, order)

    def split(self, rows: Float[Tensor, "P C"]) -> list[Float[Tensor, "_ _ C"]]:
        """Anything computed row by row from `values` -> one tensor [b, n, C] a bucket."""
        pieces = rows.split([items * length for items, length in self.shapes])
        return [piece.view(*shape, -1) for piece, shape in zip(pieces, self.shapes, strict=True)]

    def mean(self) -> Float[Tensor, "N D"]:
        """Every item's mean over its real rows, in the items' order."""
        sums = torch.cat([bucket.float().sum(dim=1) for bucket in self.split(self.values)])
        return self.of_items(sums / self.lengths[:, None])

    def last(self) -> Float[Tensor, "N D"]:
        """Every item's last real row, in the items' order."""
        rows = torch.cat(
            [
                bucket[torch.arange(len(own), device=own.device), own - 1]
                for bucket, own in zip(self.split(self.values), self._own_lengths(), strict=True)
            ]
        )
        return self.of_items(rows)

    def _own_lengths(self) -> list[Int[Tensor, "_"]]:
        """How many rows of each matrix are real, bucket by bucket."""
        return list(self.lengths.split([items for items, _ in self.shapes]))

    def in_buckets(self, values: Shaped[Tensor, "N *shape"]) -> list[Tensor]:
        """Values in the items' order -> in buckets, as `split` cuts the rows."""
        laid = values if self.order is None else values[self.order]
        return list(laid.split([items for items, _ in self.shapes]))

    def of_items(self, values: Shaped[Tensor, "N *shape"]) -> Shaped[Tensor, "N *shape"]:
        """Values of matrix after matrix -> in the items' order."""
        return values if self.order is None else values[self._places]

    @functools.cached_property
    def _places(self) -> Int[Tensor, "N"]:
        """Where every item's matrix lies: the inverse of `order`."""
        assert self.order is not None
        return torch.argsort(self.order)


def pack(
    values: Float[Tensor, "T D"], starts: Int[Tensor, "N"], lengths: Int[Tensor, "N"], buckets: int = BUCKETS
) -> tuple[Ragged, Int[Tensor, "N"]]:
    """Items' rows, gathered from a common store -> the buckets, and `order`: item order[k] lies at place k.

    Args:
        starts: item i is rows starts[i] to starts[i] + lengths[i]; -1 for an item that is one row of zeros.
    """
    lengths = torch.where(starts < 0, 1, lengths)
    ordered, order = torch.sort(lengths, stable=True)
    shapes, masks, sources = [], [], []
    per_bucket = -(-len(lengths) // buckets)
    for counts, first in zip(ordered.split(per_bucket), starts[order].split(per_bucket), strict=True):
        position = torch.arange(int(counts[-1]))
        real = position < counts[:, None]
        taken = real & (first >= 0)[:, None]
        shapes.append((len(counts), len(position)))
        masks.append(None if bool(real.all()) else real)
        sources.append(torch.where(taken, first[:, None] + position, -1).reshape(-1))
    return Ragged(_take(values, torch.cat(sources)), ordered, tuple(shapes), tuple(masks)), order


def _take(values: Float[Tensor, "T D"], source: Int[Tensor, "P"]) -> Float[Tensor, "P D"]:
    """Rows by number; zeros for -1."""
    taken = values[source.clamp(min=0)]
    taken[source < 0] = 0
    return taken
