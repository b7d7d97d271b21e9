"""A walk along a graph of items that are alike: the best of a large catalogue without scoring all of it.

From some items to their neighbours and on, the best so far are kept at every step; where every item is a neighbour of
every other, one step finds what scoring all would (Hou et al. 2025). B samples, N items, E edges of an item, S items to
begin with, C items scored, K kept, W width of vectors.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unisid.ops.nearest import Nearest
from unisid.ops.padding import PAD as PAD

EXACT = 1 << 15
"""Up to so many items neighbours are compared with all; above, with those of near lists."""
AT_ONCE = 1 << 14
"""Items whose neighbours are looked for at once."""


KEPT = 128
"""Width at which so many items are compared."""
SAMPLE = 1 << 13
"""Vectors whose longest axes these are."""


def longest_axes(vectors: Float[Tensor, "n W"], count: int) -> Float[Tensor, "W C"]:
    """The orthonormal axes along which vectors are longest: of all projections on so many, that which keeps most of
    their products.

    >>> longest_axes(torch.tensor([[3.0, 0.0], [0.0, 1.0]]), 1).abs()
    tensor([[1.],
            [0.]])
    """
    rows = vectors.detach().double()
    return torch.linalg.eigh(rows.T @ rows).eigenvectors.flip(1)[:, :count].float()


@dataclass(frozen=True)
class Graph:
    """Every item's neighbours."""

    neighbours: Int[Tensor, "N E"]
    """int32, the nearest first; PAD where there are fewer."""

    @classmethod
    def of(cls, vectors: Float[Tensor, "N W"], edges: int) -> "Graph":
        """The nearest by cosine, of one's own no part."""
        return cls.of_parts(vectors.__getitem__, len(vectors), edges)

    @classmethod
    def of_parts(cls, part: Callable[[slice], Float[Tensor, "n W"]], count: int, edges: int) -> "Graph":
        """The same of N vectors that are made some at a time. Above `EXACT` items the cosine is that of the `KEPT` axes
        along which a sample of them is longest, so that all are never held at their full width."""
        first, width = part(slice(0, 1)), min(edges, count - 1)
        axes = None
        if count > EXACT and first.shape[1] > KEPT:
            some = torch.randperm(count, generator=torch.Generator().manual_seed(0))[:SAMPLE].sort().values
            axes = longest_axes(torch.cat([part(slice(row, row + 1)) for row in some.tolist()]), KEPT)
        rows = np.empty((count, first.shape[1] if axes is None else KEPT), np.float32)
        for start in range(0, count, AT_ONCE):
            values = part(slice(start, start + AT_ONCE)).detach().float()
            rows[start : start + AT_ONCE] = (values if axes is None else values @ axes).cpu().numpy()
        nearest = Nearest.build(rows, width, exact_limit=EXACT)
        found = np.empty((count, width), np.int32)
        for start in range(0, count, AT_ONCE):
            stop = min(start + AT_ONCE, count)
            found[start:stop] = nearest.neighbours(start, stop)
        return cls(torch.from_numpy(found).to(first.device))

    def anywhere(self, size: int) -> Int[Tensor, " S"]:
        """Some items to begin with, the same ones every time."""
        drawn = torch.randperm(len(self.neighbours), generator=torch.Generator().manual_seed(0))[:size]
        return drawn.to(self.neighbours.device)


def walk(
    graph: Graph,
    starts: Int[Tensor, "B S"],
    score: Callable[[Int[Tensor, "B C"]], Float[Tensor, "B C"]],
    allowed: Callable[[Int[Tensor, "B C"]], Bool[Tensor, "B C"]],
    beam: int,
    rounds: int,
) -> tuple[Int[Tensor, "B K"], Float[Tensor, "B K"]]:
    """The best items met, best first, each once; PAD and -inf where fewer than `beam` were.

    What may not be answered is walked through all the same.

    Args:
        starts: where to begin, besides `beam` items that are drawn; PAD fills short rows.
        score: the scores of items; -inf for PAD.
        allowed: whether items, none of which is PAD, may be answered.
    """
    drawn = graph.anywhere(beam).expand(len(starts), -1)
    met = _once(torch.cat([starts, drawn], 1))
    values = score(met)
    found, best = _answers(met, values, allowed, beam)
    for _ in range(rounds):
        kept, _ = _top(met, values, beam)
        beside = graph.neighbours[kept.clamp_min(0)].long().masked_fill((kept == PAD)[..., None], PAD)
        met = _once(torch.cat([kept, beside.flatten(1)], 1))
        values = score(met)
        new, of_new = _answers(met, values, allowed, beam)
        found, best = _merged(found, best, new, of_new, beam)
    return found, best


def _once(items: Int[Tensor, "B C"]) -> Int[Tensor, "B C"]:
    """Every item of a row once, PAD in place of the others."""
    items = items.sort(1).values
    items[:, 1:] = torch.where(items[:, 1:] == items[:, :-1], PAD, items[:, 1:])
    return items


def _top(items: Int[Tensor, "B C"], values: Float[Tensor, "B C"], size: int) -> tuple[Tensor, Tensor]:
    top = values.topk(min(size, values.shape[1]), dim=1)
    return torch.where(top.values > -torch.inf, items.gather(1, top.indices), PAD), top.values


def _answers(
    met: Int[Tensor, "B C"], values: Float[Tensor, "B C"], allowed: Callable[[Tensor], Tensor], size: int
) -> tuple[Tensor, Tensor]:
    """The best that may be answered."""
    return _top(met, values.masked_fill((met == PAD) | ~allowed(met.clamp_min(0)), -torch.inf), size)


def _merged(found: Tensor, best: Tensor, new: Tensor, of_new: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The best of both, each once."""
    again = (new[:, :, None] == found[:, None, :]).any(2)
    return _top(torch.cat([found, new], 1), torch.cat([best, of_new.masked_fill(again, -torch.inf)], 1), size)
