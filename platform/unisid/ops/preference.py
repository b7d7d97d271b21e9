"""Losses over answers that a model gave: of every prompt, from log-probabilities that carry a gradient.

log p of an item is the sum of its tokens'. B prompts, G answers, C candidates (the target first), L levels.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional


def group_loss(
    log_p: Float[Tensor, "B G L"], credit: Float[Tensor, "B G L"], real: Bool[Tensor, "B G"]
) -> Float[Tensor, " B"]:
    """-mean over answers and tokens of ratio * credit, with ratio = exp(log p - its own value): GRPO with one update
    for each set of answers, where the ratio is 1 and its gradient that of log p."""
    ratio = (log_p - log_p.detach()).exp()
    return -_mean_of_answers(ratio * credit, real)


def divergence(
    log_p: Float[Tensor, "B G L"], reference: Float[Tensor, "B G L"], real: Bool[Tensor, "B G"], most: float
) -> Float[Tensor, " B"]:
    """The mean over answers and tokens of exp(d) - d - 1, d = reference - log p: an estimate of the KL divergence that
    is never below 0. A token's is `most` at most, with no gradient beyond: rare answers have a heavy tail."""
    difference = reference - log_p
    return _mean_of_answers((difference.expm1() - difference).clamp(0.0, most), real)


def softmax_preference(
    log_p: Float[Tensor, "B C"], reference: Float[Tensor, "B C"], real: Bool[Tensor, "B C"], beta: float
) -> Float[Tensor, " B"]:
    """S-DPO: -log sigmoid(-log sum over wrong answers j of exp(beta (d_j - d_0))), d = log p - reference's, 0 the
    target. Equal to DPO for one wrong answer; 0 for a prompt that has none."""
    gains = beta * (log_p - reference)
    wrong = real[:, 1:]
    margin = (gains[:, 1:] - gains[:, :1]).masked_fill(~wrong, -torch.inf)
    any_wrong = wrong.any(1)
    total = torch.where(any_wrong[:, None], margin, 0.0).logsumexp(1)
    return torch.where(any_wrong, functional.softplus(total), 0.0)


def contrast(log_p: Float[Tensor, "B C"], real: Bool[Tensor, "B C"], temperature: float) -> Float[Tensor, " B"]:
    """-log of the target's share among the candidates, by softmax of log p / temperature; 0 for the target alone."""
    return -(log_p / temperature).masked_fill(~real, -torch.inf).log_softmax(1)[:, 0]


def _mean_of_answers(values: Float[Tensor, "B G L"], real: Bool[Tensor, "B G"]) -> Float[Tensor, " B"]:
    """The mean over the tokens of an answer, then over the answers."""
    return (values.mean(2) * real).sum(1) / real.sum(1).clamp_min(1)
