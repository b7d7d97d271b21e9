"""The offset to the scores of some items with which they together have a given share of the probability.

    mean over samples of P(some) = share,    P(some) = sigmoid(log-odds of some against the others + offset)

The mean rises with the offset, so there is one, and halving an interval finds it. n samples, N items.
"""

import math

from jaxtyping import Bool, Float
from torch import Tensor

REACH = 60.0
"""Beyond the extreme log-odds no offset is looked for."""
HALVINGS = 80


def log_odds(scores: Float[Tensor, "n N"], some: Bool[Tensor, " N"]) -> Float[Tensor, " n"]:
    """log (p / (1 - p)) of the items `some` together, p being the softmax of the scores; there are others."""
    return scores[:, some].double().logsumexp(1) - scores[:, ~some].double().logsumexp(1)


def offset_to_share(odds: Float[Tensor, " n"], share: float) -> float:
    """The offset with which the mean probability is `share`, above 0 and below 1.

    >>> import torch
    >>> round(offset_to_share(torch.tensor([0.0, 0.0]), 0.25), 6)  # log (1/4 / 3/4)
    -1.098612
    """
    odds = odds.double()
    middle = math.log(share / (1 - share))
    low, high = middle - float(odds.max()) - REACH, middle - float(odds.min()) + REACH
    for _ in range(HALVINGS):
        tried = (low + high) / 2
        low, high = (tried, high) if float((odds + tried).sigmoid().mean()) < share else (low, tried)
    return (low + high) / 2
