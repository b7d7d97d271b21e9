"""Group-relative policy optimisation on the recommender's own answers (Shao et al. 2024; MiniOneRec, 2025).

    reward = rule * [answer is the target] + rank * (minus its share of discounted gain, if wrong) + prefix * depth
    A_i    = (reward_i - mean) / (deviation + 1e-4) within a prompt, 0 where all are equal
    loss   = -mean over answers and tokens of ratio * A  +  beta * KL estimate to the recommender it began with

One step is taken for each set of answers, so the ratio of new to old probability is 1 and no clip of it acts. With
beams as answers the estimate is of the list's head, not of the distribution: it ranks rather than samples.

Credit may go to single tokens: `sibling` compares the tokens after one prefix, `first_difference` rewards those before
an answer leaves the target's path and punishes the one where it does. B prompts, G answers, C compared items, L levels.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unisid.alignment import AlignmentConfig, Answered, Group, Shown
from unisid.bounds import NotNegative, Share
from unisid.errors import ConfigError
from unisid.ops import credit, preference, rewards

PASS_DRAWS = 4
"""Answers of which one is to be right, in the bonus."""


@dataclass(frozen=True, kw_only=True)
class Config(AlignmentConfig):
    """Rewards, credit and how far the recommender may move; the defaults are MiniOneRec's, as released."""

    rule: NotNegative = 1.0
    """Weight of the reward for the target itself."""
    rank: NotNegative = 1.0
    """Weight of the penalty that a wrong answer's rank decides; 0: rule alone."""
    prefix: NotNegative = 0.0
    """Weight of the reward for the first codes that agree with the target's: it gives groups without a hit a signal."""
    prefix_by_depth: tuple[float, ...] = ()
    """What 1, 2, ... L agreeing codes are worth; none given: evenly 1/L, 2/L, ... 1."""
    credit: Literal["answer", "sibling", "first_difference"] = "answer"
    """What pushes a token: its answer's advantage, or for `credit_share` of it one of its own."""
    credit_share: Share = 0.5
    """Of a token's own credit, where it has one; the rest is the answer's advantage."""
    bonus: NotNegative = 0.0
    """Weight of what an answer adds to the chance that one of four is right (GREAM)."""
    beta: NotNegative = 1e-3
    """Weight of the KL estimate; 0: none, and prompts whose answers all have one reward are passed over."""
    kl_clip: NotNegative = 10.0
    """The most that a token's KL estimate counts."""
    monitor: bool = False
    """Show the KL estimate also where beta is 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.rule and not self.prefix and self.credit != "first_difference":
            raise ConfigError("grpo: rule and prefix are 0, so no answer is worth more than another; set one of them")
        if self.beta and not self.kl_clip:
            raise ConfigError("grpo.kl_clip: is 0, which leaves nothing of the KL estimate; must be above 0, or beta 0")

    @property
    def needs_reference(self) -> bool:
        return self.beta > 0 or self.monitor

    def check(self, num_levels: int) -> None:
        if self.prefix and len(self.prefix_by_depth) not in (0, num_levels):
            raise ConfigError(
                f"align.objective.prefix_by_depth: has {len(self.prefix_by_depth)} values, semantic ids have "
                f"{num_levels} levels; give as many, or none"
            )

    def group(self, answered: Answered) -> tuple[Group, Shown]:
        real, codes = answered.answers >= 0, answered.codes_of(answered.answers)
        targets = answered.codes_of(answered.targets)
        worth = self._rewards(answered, codes, targets)
        advantage = credit.standardised(worth, real) + self.bonus * credit.pass_bonus(answered.hits, PASS_DRAWS)
        pushed = (advantage * real)[:, :, None].expand(codes.shape)
        if self.credit != "answer":
            own = (
                credit.sibling_credit(worth, codes, real)
                if self.credit == "sibling"
                else credit.first_difference(codes, targets) * real[:, :, None]
            )
            pushed = (1 - self.credit_share) * pushed + self.credit_share * own
        useful = None if self.needs_reference else (pushed != 0).flatten(1).any(1)
        shown = {
            "hit_groups": answered.hits.any(1).float().mean(),
            "reward": (worth * real).sum(1).div(real.sum(1).clamp_min(1)).mean(),
            "signal": (pushed != 0).flatten(1).any(1).float().mean(),
        }
        return Group(answered.answers, real, pushed, useful), shown

    def loss(
        self, group: Group, log_p: Float[Tensor, "B C L"], reference: Float[Tensor, "B C L"] | None
    ) -> tuple[Float[Tensor, " B"], Shown]:
        assert group.credit is not None
        losses = preference.group_loss(log_p, group.credit, group.real)
        if reference is None:
            return losses, {}
        kl = preference.divergence(log_p, reference, group.real, self.kl_clip or torch.inf)
        shown = {"kl": kl.detach().mean(), "kl_99": kl.detach().float().quantile(0.99)}
        return (losses + self.beta * kl if self.beta else losses), shown

    def _rewards(
        self, answered: Answered, codes: Int[Tensor, "B C L"], targets: Int[Tensor, "B L"]
    ) -> Float[Tensor, "B G"]:
        found = self.rule * rewards.rule_reward(answered.answers, answered.targets)
        if self.rank:
            found = found + self.rank * rewards.rank_reward(answered.answers, answered.targets)
        if self.prefix:
            levels = codes.shape[2]
            depths = self.prefix_by_depth or tuple((level + 1) / levels for level in range(levels))
            found = found + self.prefix * rewards.prefix_reward(codes, targets, found.new_tensor(depths))
        return found
