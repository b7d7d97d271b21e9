"""S-DPO on the recommender's own answers: the target is to gain more than all wrong answers (Chen et al. 2024).

    loss = -log sigmoid(-log sum over wrong answers j of exp(beta (d_j - d_target))),   d = log p - log p at the start

With one wrong answer this is DPO. Every prompt has a target, so every prompt is learned from, hit or not.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from unisid.alignment import AlignmentConfig, Answered, Group, Shown, target_first
from unisid.bounds import NotNegative, Positive
from unisid.ops import preference


@dataclass(frozen=True, kw_only=True)
class Config(AlignmentConfig):
    """How sharply, and what is learned beside."""

    beta: Positive = 0.1
    """How much a change of log p counts."""
    supervised: NotNegative = 0.0
    """Weight of -log p of the target beside it, the mean over its tokens (1: as OneRec's iterative DPO)."""

    @property
    def needs_reference(self) -> bool:
        return True

    def group(self, answered: Answered) -> tuple[Group, Shown]:
        return target_first(answered), {"hit_groups": answered.hits.any(1).float().mean()}

    def loss(
        self, group: Group, log_p: Float[Tensor, "B C L"], reference: Float[Tensor, "B C L"] | None
    ) -> tuple[Float[Tensor, " B"], Shown]:
        assert reference is not None
        before, now = reference.sum(2), log_p.sum(2)
        losses = preference.softmax_preference(now, before, group.real, self.beta)
        gained = (now - before).detach()
        ahead = ((gained[:, :1] > gained[:, 1:]) & group.real[:, 1:]).sum() / group.real[:, 1:].sum().clamp_min(1)
        if self.supervised:
            losses = losses - self.supervised * log_p[:, 0].mean(1)
        return losses, {"ahead": ahead.float()}
