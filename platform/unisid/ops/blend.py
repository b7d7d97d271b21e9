"""How much each part of a score counts: weights of a sum, fitted to what was chosen among candidates.

    p(candidate c) = softmax over c of sum over parts f of (a_f + b_f * z) * part_f(c)

z is a number of the sample, such as how well known the history's latest item is; where it is 0, a_f is the weight. The
likelihood is concave in a and b, so Newton's method finds the best from anywhere, and as only sums over samples are
needed, several workers find the same. n samples, C candidates, F parts.
"""

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

STEPS, HALVINGS = 30, 12
CLOSE = 1e-9
"""Relative gain below which the search ends."""


def weighted_sum(weights: Float[Tensor, "B F"], parts: Iterable[Float[Tensor, "B N"]]) -> Float[Tensor, "B N"]:
    """The sum of weight_f * part_f, the weights being those of the row, taking the parts one at a time."""
    weighted = (weight[:, None].to(part.dtype) * part for weight, part in zip(weights.T, parts, strict=True))
    total = next(weighted)
    for part in weighted:
        total = total + part
    return total


def fit_weights(
    parts: Float[Tensor, "n C F"],
    z: Float[Tensor, " n"],
    real: Bool[Tensor, "n C"],
    chosen: Int[Tensor, " n"],
    start: Float[Tensor, "2 F"],
    total: Callable[[Float[Tensor, "..."]], Float[Tensor, "..."]] = lambda tensor: tensor,
    ridge: tuple[float, float] = (1.0, 10.0),
) -> Float[Tensor, "2 F"]:
    """The weights a and b of the greatest likelihood less sum of ridge / 2 * (weight - start)^2, in float64.

    Args:
        real: which candidates there are; the rest fill short rows.
        chosen: the place of what was chosen, one that is real.
        total: the sum of a tensor over all workers.
        ridge: of a and of b; it keeps weights that the samples say little of where they were.
    """
    begun = start.double().flatten()
    samples, pull = (parts, z, real, chosen), begun.new_tensor(ridge).repeat_interleave(start.shape[1])
    weights, (value, slope, curve) = begun, _moments(samples, begun, begun, total, pull)
    for _ in range(STEPS):
        step, before = torch.linalg.solve(curve, slope), value
        for halving in range(HALVINGS):
            tried = weights + step * 0.5**halving
            found = _moments(samples, tried, begun, total, pull)
            if found[0] > before:
                weights, (value, slope, curve) = tried, found
                break
        if float(value - before) <= CLOSE * abs(float(before)):
            break
    return weights.view(2, -1)


def _moments(
    samples: tuple[Float[Tensor, "n C F"], Float[Tensor, " n"], Bool[Tensor, "n C"], Int[Tensor, " n"]],
    weights: Float[Tensor, " W"],
    start: Float[Tensor, " W"],
    total: Callable[[Tensor], Tensor],
    pull: Float[Tensor, " W"],
) -> tuple[Float[Tensor, ""], Float[Tensor, " W"], Float[Tensor, "W W"]]:
    """What is maximised, its gradient, and minus its second derivatives, over all workers; W = 2F."""
    parts, z, real, chosen = samples
    count = len(weights)
    sums = torch.zeros(1 + count + count * count, dtype=torch.float64, device=weights.device)
    for begin in range(0, len(parts), 256):
        some = slice(begin, begin + 256)
        here, at = parts[some].double(), chosen[some]
        here = torch.cat([here, here * z[some, None, None]], 2)
        rows = torch.arange(len(here), device=here.device)
        log_p = (here @ weights).masked_fill(~real[some], -torch.inf).log_softmax(1)
        share = log_p.exp()
        mean = torch.einsum("nc,ncf->nf", share, here)
        flat = (here * share.sqrt()[:, :, None]).flatten(0, 1)
        square = flat.T @ flat - mean.T @ mean
        sums += torch.cat([log_p[rows, at].sum()[None], (here[rows, at] - mean).sum(0), square.flatten()])
    sums = total(sums)
    moved = weights - start
    value = sums[0] - (pull * moved.square()).sum() / 2
    return value, sums[1 : 1 + count] - pull * moved, sums[1 + count :].view(count, count) + pull.diag()
