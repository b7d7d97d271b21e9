"""From rewards to what each token of an answer is pushed by, beside the other answers of its prompt.

An answer that is not `real` fills a short group: it has no share in any mean, and no credit. B prompts, G answers of
a prompt, L levels.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

EPSILON = 1e-4
"""Added to deviations."""


def standardised(rewards: Float[Tensor, "B G"], real: Bool[Tensor, "B G"]) -> Float[Tensor, "B G"]:
    """(reward - mean) / (deviation + 1e-4) within a prompt; exactly 0 where all rewards are equal."""
    return _standardised(rewards[:, None], real.float()[:, None])[:, 0]


def sibling_credit(
    rewards: Float[Tensor, "B G"], codes: Int[Tensor, "B G L"], real: Bool[Tensor, "B G"]
) -> Float[Tensor, "B G L"]:
    """For each token: the mean reward of the answers through it, standardised among the tokens that the answers have
    after the same prefix. Each token counts once, however many answers go through it."""
    rows = torch.arange(codes.shape[0], device=codes.device)[:, None, None]
    both = real[:, :, None] & real[:, None, :]
    above, found = both, []
    for level in range(codes.shape[2]):
        here = above & (codes[:, :, None, level] == codes[:, None, :, level])
        sizes = here.float().sum(2).clamp_min(1)
        means = (here * rewards[:, None]).sum(2) / sizes
        weights = above / sizes[:, None]  # of answer j in the eyes of answer i
        places = torch.arange(codes.shape[1], device=codes.device)[None, :, None]
        values = _standardised(means[:, None].expand_as(weights), weights)
        found.append(values[rows, places, places][..., 0] * real)
        above = here
    return torch.stack(found, 2)


def first_difference(codes: Int[Tensor, "B G L"], targets: Int[Tensor, "B L"]) -> Float[Tensor, "B G L"]:
    """1 for every token before the first that is not the target's, -1 for that one, 0 for those after it."""
    same = codes == targets[:, None]
    before = same.long().cumprod(2)
    first = (~same) & (torch.nn.functional.pad(before[..., :-1], (1, 0), value=1) > 0)
    return before.float() - first.float()


def pass_bonus(hits: Bool[Tensor, "B G"], draws: int = 4) -> Float[Tensor, "B G"]:
    """Standardised gain of each answer in the chance that `draws` of its prompt's answers hold a right one (GREAM).

    With n answers, c of them right, k draws: rho = 1 - C(n - c, k) / C(n, k), sigma = sqrt(rho (1 - rho)); a right
    answer has (1 - rho) / sigma, any other (1 - rho - C(n - c - 1, k - 1) / C(n - 1, k - 1)) / sigma. It adds up to 0
    within a prompt, and is 0 where no answer is right or fewer than k are wrong.
    """
    n = hits.shape[1]
    table = torch.tensor([_bonus(n, c, draws) for c in range(n + 1)], device=hits.device)
    chosen = table[hits.sum(1)]
    return torch.where(hits, chosen[:, :1], chosen[:, 1:])


def _bonus(n: int, c: int, k: int) -> tuple[float, float]:
    """Of a right answer, and of another."""
    if c == 0 or n - c < k:
        return 0.0, 0.0
    rho = 1 - math.comb(n - c, k) / math.comb(n, k)
    sigma = math.sqrt(rho * (1 - rho))
    return (1 - rho) / sigma, (1 - rho - math.comb(n - c - 1, k - 1) / math.comb(n - 1, k - 1)) / sigma


def _standardised(values: Float[Tensor, "B I G"], weights: Float[Tensor, "B I G"]) -> Float[Tensor, "B I G"]:
    """Along the last axis, each entry as often as its weight says; exactly 0 where all are equal, or of no weight."""
    count = weights.sum(2, keepdim=True)
    mean = (values * weights).sum(2, keepdim=True) / count.clamp_min(1)
    variance = ((values - mean).square() * weights).sum(2, keepdim=True) / (count - 1).clamp_min(1)
    inside = weights > 0
    top = values.masked_fill(~inside, -torch.inf).amax(2, keepdim=True)
    least = values.masked_fill(~inside, torch.inf).amin(2, keepdim=True)
    found = (values - mean) / (variance.sqrt() + EPSILON)
    return torch.where(inside & (top > least), found, 0.0)
