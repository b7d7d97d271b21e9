"""What an answer is worth: pure functions of the items or codes of answers and targets.

B prompts, G answers of a prompt, best first, L levels.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def rule_reward(answers: Int[Tensor, "B G"], targets: Int[Tensor, " B"]) -> Float[Tensor, "B G"]:
    """1 for the target, 0 for any other item."""
    return (answers == targets[:, None]).float()


def rank_reward(answers: Int[Tensor, "B G"], targets: Int[Tensor, " B"]) -> Float[Tensor, "B G"]:
    """Minus the share of discounted gain that a wrong answer's rank has; 0 for the target.

    w_rank = (1 / log2(rank + 1)) / sum over all G ranks of the same. Where the target is not among the answers, all
    are 0: there is nothing to be ranked below (MiniOneRec, as released).
    """
    ranks = torch.arange(1, answers.shape[1] + 1, device=answers.device)
    gains = 1 / (ranks + 1).float().log2()
    hit = answers == targets[:, None]
    found: Tensor = -(gains / gains.sum()) * (hit.any(1, keepdim=True) & ~hit)
    return found


def matched_levels(answers: Int[Tensor, "B G L"], targets: Int[Tensor, "B L"]) -> Int[Tensor, "B G"]:
    """How many codes of an answer equal the target's before the first that does not."""
    return (answers == targets[:, None]).long().cumprod(2).sum(2)


def prefix_reward(
    answers: Int[Tensor, "B G L"], targets: Int[Tensor, "B L"], by_depth: Float[Tensor, " L"]
) -> Float[Tensor, "B G"]:
    """`by_depth` of the first 1, 2, ... L codes that agree with the target's; 0 where the first does not."""
    return torch.cat([by_depth.new_zeros(1), by_depth])[matched_levels(answers, targets)]
