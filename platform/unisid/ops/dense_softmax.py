"""Softmax over all items with something added to a few of them, without a matrix [P, N] that outlives its use.

    s_pi = <query p, item i> + sum of the additions of p to i,      loss = sum over p of -log softmax(s_p)[target p]

The forward pass makes some rows of s at a time and keeps their gradients instead. P positions, D width, N items,
J additions a position.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
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
