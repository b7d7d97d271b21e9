"""Softmax over all items with something added to a few of them, without a matrix [P, N] that outlives its use.

    s_pi = <query p, item i> + sum of the additions of p to i,      loss = sum over p of -log softmax(s_p)[target p]

The forward pass makes some rows of s at a time and keeps their gradients instead. Where items are many, the sum in the
softmax is estimated from a sample of them. P positions, D width, N items, J additions a position, S items sampled.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

LOGITS = 1 << 22
"""Most logits made at once."""


def dense_softmax_loss(
    queries: Float[Tensor, "P D"],
    items: Float[Tensor, "N D"],
    added_to: Int[Tensor, "P J"],
    added: Float[Tensor, "P J"],
    targets: Int[Tensor, " P"],
) -> Float[Tensor, ""]:
    """The sum of -log softmax(s)[target].

    Args:
        added_to: the items that something is added to; several additions to one item add up, one of 0 changes nothing.
    """
    loss: Tensor = _Dense.apply(queries, items, added_to, added, targets)
    return loss


class _Dense(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, items: Tensor, added_to: Tensor, added: Tensor, targets: Tensor) -> Tensor:
        kind = torch.get_autocast_dtype(queries.device.type) if torch.is_autocast_enabled(queries.device.type) else None
        read, table = (part.to(kind or part.dtype) for part in (queries, items))
        by_query, by_added = torch.empty_like(queries), torch.empty_like(added)
        by_items = torch.zeros_like(items)
        total = queries.new_zeros((), dtype=torch.float64)
        transposed = table.T.contiguous()
        rows = max(1, LOGITS // len(items))
        with torch.autocast(queries.device.type, enabled=False):
            for start in range(0, len(queries), rows):
                some = slice(start, start + rows)
                logits = (read[some] @ transposed).float().scatter_add(1, added_to[some], added[some].float())
                share = logits.log_softmax(1)
                own = targets[some, None]
                total -= share.gather(1, own).sum().double()
                share = share.exp_()
                share.scatter_add_(1, own, share.new_full((len(own), 1), -1.0))
                by_added[some] = share.gather(1, added_to[some]).to(by_added.dtype)
                cast = share.to(table.dtype)
                by_query[some] = (cast @ table).to(by_query.dtype)
                by_items += (cast.T @ read[some]).to(by_items.dtype)
        ctx.save_for_backward(by_query, by_items, by_added)
        return total.float()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        by_query, by_items, by_added = (part * gradients[0] for part in ctx.saved_tensors)
        return by_query, by_items, None, by_added, None


def sampled_softmax_loss(
    queries: Float[Tensor, "P D"],
    vectors: Callable[[Int[Tensor, "*x"]], Float[Tensor, "*x D"]],
    num_items: int,
    added_to: Int[Tensor, "P J"],
    added: Float[Tensor, "P J"],
    real: Bool[Tensor, "P J"],
    targets: Int[Tensor, " P"],
    sample: Int[Tensor, " S"],
    share: Float[Tensor, " S"],
) -> Float[Tensor, ""]:
    """The loss above, its sums over items estimated from a sample that all positions share.

        sum of e^s over items = e^s of the target and of the items that something is added to
                                + sum over other sampled items of e^(s - log share)

    The estimate of the sum is unbiased, and equal to it where all items are sampled.

    Args:
        vectors: of some items.
        real: which additions there are, to each item at most one; the rest fill short rows.
        share: the chance of each sampled item to be one.
    """
    number = torch.full((num_items,), len(sample), device=sample.device)
    number[sample] = torch.arange(len(sample), device=sample.device)
    logits = queries @ vectors(sample).T
    apart = number[torch.cat([targets[:, None], torch.where(real, added_to, targets[:, None])], 1)]
    logits = (logits.float() - share.log().float()).masked_fill(_marked(apart, len(sample)), -torch.inf)
    is_target = (added_to == targets[:, None]) & real
    beside = torch.einsum("pd,pjd->pj", queries, vectors(added_to)).float() + added.float()
    beside = beside.masked_fill(~real | is_target, -torch.inf)
    own = (queries * vectors(targets)).sum(1).float() + torch.where(is_target, added.float(), 0.0).sum(1)
    whole = torch.cat([own[:, None], beside, logits], 1).logsumexp(1)
    return (whole - own).sum()


def _marked(columns: Int[Tensor, "P J"], size: int) -> Bool[Tensor, "P S"]:
    """True at some columns of every row; `size` marks none."""
    found = torch.zeros(len(columns), size + 1, dtype=torch.bool, device=columns.device)
    return found.scatter(1, columns, True)[:, :size]
