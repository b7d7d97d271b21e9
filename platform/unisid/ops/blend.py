"""Weights of the parts of a score, fitted by maximum likelihood to the items chosen among candidates.

    p(candidate c) = softmax over c of sum over parts f of (a_f + b_f * z) * part_f(c)

z is a covariate of the sample, such as the standardised log-popularity of the history's latest item; where it is 0, a_f
is the weight. The log-likelihood is concave in a and b, so Newton's method converges from any start; it needs only sums
over samples, so that several workers compute the same. n samples, C candidates, F parts.
"""

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

STEPS, HALVINGS = 30, 12
CLOSE = 1e-9
"""Relative gain below which the search ends."""


def weighted_sum(weights: Float[Tensor, "B F"], parts: Iterable[Float[Tensor, "B N"]]) -> Float[Tensor, "B N"]:
    """sum over f of weight_f * part_f, with weights of each row; the parts are taken one at a time."""
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
    """The weights a and b that maximise the log-likelihood - sum of ridge / 2 * (weight - start)^2, in float64.

    Example, F = 1, z = 0, two candidates with parts 1 and 0, of which the first is chosen in 3 of 4 samples: without a
    ridge sigmoid(a) = 3/4, so a = log 3 = 1.10; with a ridge of 1 from start 0, 4 (3/4 - sigmoid(a)) = a, so a = 0.505.

    Args:
        real: False where a candidate fills a short row.
        chosen: the column of the chosen candidate, a real one.
        total: the sum of a tensor over all workers.
        ridge: of a and of b; it keeps weights that the samples do not determine near the start.
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
    """The penalised log-likelihood, its gradient and its negative Hessian, over all workers; W = 2F."""
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
