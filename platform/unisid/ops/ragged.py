"""Ragged matrices as a few rectangles: rows sorted by length, cut into buckets, padded inside a bucket only.

N items of n_i rows each, P padded rows in all (the sum of n_i and a little more), D width.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
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
        return sums / self.lengths.clamp(min=1)[:, None]


def pack(
    values: Float[Tensor, "T D"], lengths: Int[Tensor, "N"], buckets: int = BUCKETS
) -> tuple[Ragged, Int[Tensor, "N"]]:
    """Rows of N items joined, and how many each has -> the buckets, and `order`: item order[k] lies at place k."""
    ordered, order = torch.sort(lengths, stable=True)
    starts = (lengths.cumsum(0) - lengths)[order]
    per_bucket = max(1, -(-len(lengths) // buckets))
    shapes, masks, sources = [], [], []
    for counts, first in zip(ordered.split(per_bucket), starts.split(per_bucket), strict=True):
        longest = max(1, int(counts[-1]))
        real = torch.arange(longest) < counts[:, None]
        shapes.append((len(counts), longest))
        masks.append(None if bool(real.all()) else real)
        sources.append(torch.where(real, first[:, None] + torch.arange(longest), -1).reshape(-1))
    source = torch.cat(sources)
    padded = _take(values, source)
    return Ragged(padded, ordered, tuple(shapes), tuple(masks)), order


def _take(values: Float[Tensor, "T D"], source: Int[Tensor, "P"]) -> Float[Tensor, "P D"]:
    real: Bool[Tensor, P] = source >= 0
    if bool(real.all()):
        return values[source]
    padded = values.new_zeros(len(source), values.shape[1])
    padded[real] = values[source[real]]
    return padded
