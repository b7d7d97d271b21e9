"""Iterative preference alignment: of its own answers, the recommender is to prefer what a reward model values most to
what it values least (OneRec, 2025).

    loss = -log sigmoid(beta (d_best - d_worst)) + supervised * -mean over tokens of log p of the target
    d = log p - log p at the start

An answer's reward is log p of the item under another recommender, which stays as it is. A reward that grows is no
evidence of better lists: judge and teacher are one. OneRec learns so from 1% of its samples and takes a new start after
every epoch; here all prompts are learned from, and the start is one. B prompts, G answers, L levels.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from unisid.alignment import AlignmentConfig, Answered, Group, Shown
from unisid.bounds import NotNegative, Positive
from unisid.ops import preference


@dataclass(frozen=True, kw_only=True)
class Config(AlignmentConfig):
    """How sharply, and what is learned beside; OneRec does not say its own."""

    beta: Positive = 0.1
    """How much a change of log p counts."""
    supervised: NotNegative = 1.0
    """Weight of -log p of the target beside it, the mean over its tokens."""

    @property
    def needs_reference(self) -> bool:
        return True

    @property
    def needs_rewards(self) -> bool:
        return True

    def group(self, answered: Answered) -> tuple[Group, Shown]:
        """The target, the best answer and the worst one."""
        assert answered.rewards is not None
        real = answered.answers >= 0
        best = answered.rewards.masked_fill(~real, -torch.inf).argmax(1, keepdim=True)
        worst = answered.rewards.masked_fill(~real, torch.inf).argmin(1, keepdim=True)
        chosen = answered.answers.gather(1, torch.cat([best, worst], 1))
        values = answered.rewards.gather(1, torch.cat([best, worst], 1))
        apart = (chosen[:, :1] != chosen[:, 1:]).expand(-1, 2)
        items = torch.cat([answered.targets[:, None], chosen.clamp_min(0)], 1)
        shown = {
            "reward": (answered.rewards.masked_fill(~real, 0.0).sum(1) / real.sum(1).clamp_min(1)).mean(),
            "margin": (values[:, 0] - values[:, 1]).masked_fill(~apart[:, 0], 0.0).mean(),
            "hit_groups": answered.hits.any(1).float().mean(),
        }
        return Group(items, torch.cat([torch.ones_like(apart[:, :1]), apart], 1)), shown

    def loss(
        self, group: Group, log_p: Float[Tensor, "B C L"], reference: Float[Tensor, "B C L"] | None
    ) -> tuple[Float[Tensor, " B"], Shown]:
        assert reference is not None
        now, before, apart = log_p.sum(2)[:, 1:], reference.sum(2)[:, 1:], group.real[:, 1:]
        losses = preference.softmax_preference(now, before, apart, self.beta)
        gained = (now - before).detach()
        ahead = ((gained[:, 0] > gained[:, 1]) & apart[:, 0]).sum() / apart[:, 0].sum().clamp_min(1)
        if self.supervised:
            losses = losses - self.supervised * log_p[:, 0].mean(1)
        return losses, {"ahead": ahead.float()}
