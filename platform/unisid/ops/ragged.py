"""Ragged matrices as a few rectangles: rows sorted by length, cut into buckets, padded inside a bucket only.

N items of n_i rows each, T rows to take from, P padded rows in all (the sum of n_i and a little more), D width.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

BUCKETS = 8
"""Padding falls with their number and the count of kernel launches rises; eight leave a few per cent of padding."""


@dataclass(frozen=True)
class Ragged:
    """N matrices of unlike length, ascending by length; bucket after bucket in `values`."""

    values: Float[Tensor, "P D"]
    """Padding rows are zero."""
    lengths: Int[Tensor, "N"]
    shapes: tuple[tuple[int, int], ...]
    """(items, rows an item) of every bucket."""
    masks: tuple[Tensor | None, ...]
    """Which rows of a bucket are real, [b, n]; None where all are."""

    def to(self, device: torch.device) -> "Ragged":
        masks = tuple(None if mask is None else mask.to(device) for mask in self.masks)
        return Ragged(self.values.to(device), self.lengths.to(device), self.shapes, masks)

    def split(self, rows: Float[Tensor, "P C"]) -> list[Float[Tensor, "_ _ C"]]:
        """Anything computed row by row from `values` -> one tensor [b, n, C] a bucket."""
        pieces = rows.split([items * length for items, length in self.shapes])
        return [piece.view(*shape, -1) for piece, shape in zip(pieces, self.shapes, strict=True)]

    def mean(self) -> Float[Tensor, "N D"]:
        """Every item's mean over its real rows."""
        sums = torch.cat([bucket.float().sum(dim=1) for bucket in self.split(self.values)])
        return sums / self.lengths[:, None]


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
