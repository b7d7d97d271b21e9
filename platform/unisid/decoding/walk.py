"""A walk along a graph of items that are alike: the best of a large catalogue without scoring all of it.

From some items to their neighbours and on, the best so far are kept at every step; where every item is a neighbour of
every other, one step finds what scoring all would (Hou et al. 2025). B samples, N items, E edges of an item, S items to
begin with, C items scored, K kept.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unisid.ops.nearest import Nearest

PAD = -1
EXACT = 1 << 15
"""Up to so many items neighbours are compared with all; above, with those of near lists."""
AT_ONCE = 1 << 14
"""Items whose neighbours are looked for at once."""


@dataclass(frozen=True)
class Graph:
    """Every item's neighbours."""

    neighbours: Int[Tensor, "N E"]
    """int32, the nearest first; PAD where there are fewer."""

    @classmethod
    def of(cls, vectors: Float[Tensor, "N W"], edges: int) -> "Graph":
        """The nearest by cosine, of one's own no part."""
        rows = vectors.detach().float().cpu().numpy()
        nearest, width = Nearest.build(rows, exact_limit=EXACT), min(edges, len(rows) - 1)
        starts = range(0, len(rows), AT_ONCE)
        parts = [nearest.neighbours(start, min(start + AT_ONCE, len(rows)), width) for start in starts]
        return cls(torch.cat([torch.from_numpy(part) for part in parts]).to(vectors.device))

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
