"""Sequences of unequal length: batches with hardly any padding, and one vector from a sequence's token states.

B sequences in a batch, T tokens of the longest, D width.
"""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

Pooling = Literal["mean", "last"]

MAX_PADDING = 0.04
"""The share of a batch that may be padding before a new one is begun."""
FREE_SHARE = 32
"""A batch of less than this fraction (1/32) of the token budget is not worth splitting for its padding."""


def batches_by_length(lengths: NDArray[np.int64], batch_tokens: int) -> list[NDArray[np.int64]]:
    """Rows in batches of nearly one length, the longest first, so that memory runs out at once or never.

    A batch is closed when, padded to its longest row, it would hold more than `batch_tokens`, or more padding than
    `MAX_PADDING` of it. Every row is in exactly one batch; a row longer than the budget is alone in its own.
    """
    batches: list[list[int]] = []
    longest = padding = 0
    order = np.argsort(-lengths, kind="stable")
    for row, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
        size = (len(batches[-1]) + 1) * longest if batches else 0
        wasteful = padding + longest - length > MAX_PADDING * size and size > batch_tokens // FREE_SHARE
        if not batches or size > batch_tokens or wasteful:
            batches.append([])
            longest, padding = length, 0
        batches[-1].append(row)
        padding += longest - length
    return [np.array(batch, np.int64) for batch in batches]


def pool(states: Float[Tensor, "B T D"], lengths: Int[Tensor, "B"] | None, pooling: Pooling) -> Float[Tensor, "B D"]:
    """One float32 vector a sequence: the mean over its real tokens, or its last real token.

    Args:
        lengths: real tokens, at least one; the rest is padding and may hold anything. None: all are real.
    """
    if pooling == "last":
        if lengths is None:
            return states[:, -1].float()
        return states[torch.arange(len(states), device=states.device), lengths - 1].float()
    if lengths is None:
        return states.mean(1, dtype=torch.float32)
    real = torch.arange(states.shape[1], device=states.device) < lengths[:, None]
    summed = torch.where(real[:, :, None], states, 0).sum(1, dtype=torch.float32)
    return summed / lengths[:, None]
