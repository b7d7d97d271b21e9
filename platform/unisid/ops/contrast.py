"""Contrast of anchors with candidates, where known friends of an anchor do not count as strangers.

B anchors, C candidates (the positives of all anchors of all workers), D width, K neighbours an item.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


def info_nce(
    anchors: Float[Tensor, "B D"],
    candidates: Float[Tensor, "C D"],
    own: Int[Tensor, "B"],
    ignored: Bool[Tensor, "B C"],
    temperature: float,
) -> Float[Tensor, ""]:
    """InfoNCE loss: the mean over anchors of the cross-entropy of their own candidate among all.

    -log( exp(cos(u_i, p_i) / tau) / sum over c in {p_i} and not ignored of exp(cos(u_i, p_c) / tau) )
    (UQF thesis, 4.3.2 and listing B.6). Always in float32: a temperature of 0.05 magnifies every rounding.

    Args:
        own: which candidate is the anchor's positive; it counts even where `ignored` marks it.
        ignored: candidates that are no evidence against the anchor.
    """
    with torch.autocast(anchors.device.type, enabled=False):
        cosine = F.normalize(anchors.float(), dim=-1) @ F.normalize(candidates.float(), dim=-1).T
        ignored = ignored.scatter(1, own[:, None], False)
        return F.cross_entropy((cosine / temperature).masked_fill(ignored, float("-inf")), own)


def known(
    anchors: Int[Tensor, "B"], neighbours: Int[Tensor, "B K"], candidates: Int[Tensor, "C"]
) -> Bool[Tensor, "B C"]:
    """Which candidate items are the anchor itself or among its neighbours (-1: no neighbour)."""
    distinct, place = torch.unique(candidates, return_inverse=True)
    friends = torch.cat([anchors[:, None], neighbours], dim=1).to(distinct.dtype)
    column = torch.searchsorted(distinct, friends).clamp(max=len(distinct) - 1)
    column = torch.where(distinct[column] == friends, column, len(distinct))  # one more column, for those not here
    found = torch.zeros(len(anchors), len(distinct) + 1, dtype=torch.bool, device=anchors.device)
    return found.scatter_(1, column, True)[:, place]


def drawn_info_nce(
    anchors: Float[Tensor, "B D"],
    vectors: Float[Tensor, "N D"],
    targets: Int[Tensor, " B"],
    drawn: Int[Tensor, " K"],
    temperature: float,
) -> Float[Tensor, ""]:
    """InfoNCE of anchors with their targets' vectors, among drawn items'; a draw of the target does not count."""
    rows = torch.arange(len(targets), device=targets.device)
    others = torch.ones(len(rows), len(rows), dtype=torch.bool, device=rows.device)
    ignored = torch.cat([others, drawn == targets[:, None]], 1)
    return info_nce(anchors, torch.cat([vectors[targets], vectors[drawn]]), rows, ignored, temperature)


def paired_info_nce(
    anchors: Float[Tensor, "U D"],
    candidates: Float[Tensor, "U D"],
    counts: Int[Tensor, "U"],
    own: Int[Tensor, "U"],
    temperature: float,
) -> Float[Tensor, ""]:
    """InfoNCE between two vectors of each of U items, summed over the samples that have the item.

    A batch of samples may hold an item several times. Its further copies are no evidence against it, and every copy of
    another item is: so item b stands counts[b] times in the sum below the line, the anchor's own once.

        sum over a of own_a * -log( exp(s_aa) / (exp(s_aa) + sum over b != a of counts_b exp(s_ab)) ),  s = cos / tau

    Args:
        counts: samples of each item in the whole batch.
        own: samples of each item that the sum is over.
    """
    with torch.autocast(anchors.device.type, enabled=False):
        scores = F.normalize(anchors.float(), dim=-1) @ F.normalize(candidates.float(), dim=-1).T / temperature
        copies = counts.float().log().expand_as(scores)
        scores = scores + copies.masked_fill(torch.eye(len(scores), dtype=torch.bool, device=scores.device), 0.0)
        return (own * (scores.logsumexp(1) - scores.diagonal())).sum()


def info_nce_both_ways(
    ours: Float[Tensor, "B D"],
    theirs: Float[Tensor, "B D"],
    items: Int[Tensor, "B"],
    everyone: Callable[[Tensor], Tensor],
    first: int,
    temperature: float,
) -> Float[Tensor, ""]:
    """InfoNCE of two views of the same items, each the other's candidates; every other item is a candidate once.

    Args:
        everyone: gathers the rows of all workers, with gradients; the mean of all workers' values is the whole batch's.
        first: where this worker's rows begin among those.
    """
    whose = everyone(items)
    rows = torch.arange(len(whose), device=items.device)
    distinct, place = torch.unique(whose, return_inverse=True)
    earliest = rows.new_full((len(distinct),), len(rows)).scatter_reduce(0, place, rows, "amin")
    ignored = (items[:, None] == whose) | (rows != earliest[place])
    own = rows[first : first + len(items)]
    forth = info_nce(ours, everyone(theirs), own, ignored, temperature)
    return forth + info_nce(theirs, everyone(ours), own, ignored, temperature)
