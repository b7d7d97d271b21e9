"""How much each part of a score counts: weights of a sum, fitted to what was chosen among candidates.

    p(candidate c) = softmax over c of sum over parts f of weight_f * part_f(c)

The likelihood is concave in the weights, so Newton's method finds the best from anywhere, and as only sums over samples
are needed, several workers find the same. n samples, C candidates, F parts.
"""

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

STEPS, HALVINGS = 30, 12
CLOSE = 1e-9
"""Relative gain below which the search ends."""


def weighted_sum(weights: Float[Tensor, " F"], parts: Iterable[Float[Tensor, "*x"]]) -> Float[Tensor, "*x"]:
    """The sum of weight_f * part_f, taking the parts one at a time."""
    weighted = (weight * part for weight, part in zip(weights.tolist(), parts, strict=True))
    total = next(weighted)
    for part in weighted:
        total = total + part
    return total


def fit_weights(
    parts: Float[Tensor, "n C F"],
    real: Bool[Tensor, "n C"],
    chosen: Int[Tensor, " n"],
    start: Float[Tensor, " F"],
    total: Callable[[Float[Tensor, "..."]], Float[Tensor, "..."]] = lambda tensor: tensor,
    ridge: float = 1.0,
) -> Float[Tensor, " F"]:
    """The weights of the greatest likelihood less ridge / 2 * |weights - start|^2, in float64.

    Args:
        real: which candidates there are; the rest fill short rows.
        chosen: the place of what was chosen, one that is real.
        total: the sum of a tensor over all workers.
        ridge: keeps weights that the samples say nothing of where they were.
    """
    start = start.double()
    weights, (value, slope, curve) = start, _moments(parts, real, chosen, start, start, total, ridge)
    for _ in range(STEPS):
        step, before = torch.linalg.solve(curve, slope), value
        for halving in range(HALVINGS):
            tried = weights + step * 0.5**halving
            found = _moments(parts, real, chosen, tried, start, total, ridge)
            if found[0] > before:
                weights, (value, slope, curve) = tried, found
                break
        if float(value - before) <= CLOSE * abs(float(before)):
            break
    return weights


def _moments(
    parts: Float[Tensor, "n C F"],
    real: Bool[Tensor, "n C"],
    chosen: Int[Tensor, " n"],
    weights: Float[Tensor, " F"],
    start: Float[Tensor, " F"],
    total: Callable[[Tensor], Tensor],
    ridge: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, " F"], Float[Tensor, "F F"]]:
    """What is maximised, its gradient, and minus its second derivatives, over all workers."""
    count = len(weights)
    sums = torch.zeros(1 + count + count * count, dtype=torch.float64, device=weights.device)
    for begin in range(0, len(parts), 256):
        some = slice(begin, begin + 256)
        here, at = parts[some].double(), chosen[some]
        rows = torch.arange(len(here), device=here.device)
        log_p = (here @ weights).masked_fill(~real[some], -torch.inf).log_softmax(1)
        share = log_p.exp()
        mean = torch.einsum("nc,ncf->nf", share, here)
        square = torch.einsum("nc,ncf,ncg->fg", share, here, here) - mean.T @ mean
        sums += torch.cat([log_p[rows, at].sum()[None], (here[rows, at] - mean).sum(0), square.flatten()])
    sums = total(sums)
    moved = weights - start
    value = sums[0] - ridge / 2 * moved.square().sum()
    curve = sums[1 + count :].view(count, count) + ridge * torch.eye(count, dtype=torch.float64, device=weights.device)
    return value, sums[1 : 1 + count] - ridge * moved, curve
