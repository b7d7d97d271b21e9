"""Losses of a next-item model: sums over positions, so that a step may be divided among workers in any way.

s_i = <state, item vector i>. P positions, D width, N items, K negatives; B rows of T items.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


def softmax_loss(
    states: Float[Tensor, "P D"], items: Float[Tensor, "N D"], targets: Int[Tensor, " P"]
) -> Float[Tensor, ""]:
    """sum -log softmax(s)[target], over all items."""
    return functional.cross_entropy((states @ items.T).float(), targets, reduction="sum")


def sampled_softmax_loss(
    states: Float[Tensor, "P D"],
    items: Float[Tensor, "N D"],
    targets: Int[Tensor, " P"],
    negatives: Int[Tensor, " K"],
) -> Float[Tensor, ""]:
    """The same with the sum of the other items estimated from K uniform ones, shared by all positions.

        Z = exp(s_target) + (N - 1) / K' * sum over negatives that are not the target of exp(s_j)

    K' of the K are not the target; the weight is the log-correction of a uniform proposal (Bengio and Senecal, 2008).
    """
    own = (states * items[targets]).sum(-1)
    return drawn_softmax_loss(own, states @ items[negatives].T, targets, negatives, len(items))


def drawn_softmax_loss(
    own: Float[Tensor, " P"],
    others: Float[Tensor, "P K"],
    targets: Int[Tensor, " P"],
    negatives: Int[Tensor, " K"],
    num_items: int,
) -> Float[Tensor, ""]:
    """`sampled_softmax_loss` of scores that a model has made: of the targets, and of the negatives."""
    own, hit = own.float(), negatives == targets[:, None]
    kept = (len(negatives) - hit.sum(1)).clamp(min=1)
    rest = others.float().masked_fill(hit, -torch.inf).logsumexp(1) + math.log(max(1, num_items - 1)) - kept.log()
    return (torch.logaddexp(own, rest) - own).sum()


def binary_loss(
    states: Float[Tensor, "P D"], items: Float[Tensor, "N D"], targets: Int[Tensor, " P"], negatives: Int[Tensor, " P"]
) -> Float[Tensor, ""]:
    """sum -log sigmoid(s_target) - log(1 - sigmoid(s_negative)): one negative a position (Kang and McAuley, 2018)."""
    right, wrong = (states * items[targets]).sum(-1).float(), (states * items[negatives]).sum(-1).float()
    return (functional.softplus(-right) + functional.softplus(wrong)).sum()


def unknown_items(known: Int[Tensor, "B T"], draws: Float[Tensor, "B S"], num_items: int) -> Int[Tensor, "B S"]:
    """Negative items, not in their row; uniform over these where the draws are uniform over [0, 1).

    If a row's known items in order are i_0 < i_1 < ..., the r-th unknown one is r + #{k: i_k - k <= r}.
    Example, num_items = 6, row [4, 1, 1, PAD]: known in order 1, 4, so the gaps i_k - k are 1 and 3, and 4 are free:
        r = 0 -> 0 + 0 = 0        r = 1 -> 1 + 1 = 2        r = 2 -> 2 + 1 = 3        r = 3 -> 3 + 2 = 5
    A draw of 0.5 is r = floor(0.5 * 4) = 2, which is item 3.

    Args:
        known: items, negative where there is none; a row must not hold all `num_items`.
    """
    ordered = torch.where(known < 0, num_items, known).sort(1).values
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    real = first & (ordered < num_items)
    gaps = torch.where(real, ordered - real.cumsum(1) + 1, num_items)
    free = num_items - real.sum(1, keepdim=True)
    number = torch.minimum((draws * free).long(), free - 1)
    return number + (gaps[:, None, :] <= number[:, :, None]).sum(-1)
