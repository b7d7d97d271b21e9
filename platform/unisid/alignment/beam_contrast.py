"""The target against the items that the recommender's own beams prefer to it: no reward, no reference.

    loss = -log softmax over target and answers of (log p / temperature), at the target  +  gamma * (-log p of it)

It is the supervised loss with the search's own survivors as the whole of the alternatives, and learns from every
prompt, hit or not.
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

    temperature: Positive = 1.0
    """What log p is divided by."""
    gamma: NotNegative = 1.0
    """Weight of -log p of the target beside it, the mean over its tokens."""

    def group(self, answered: Answered) -> tuple[Group, Shown]:
        return target_first(answered), {"hit_groups": answered.hits.any(1).float().mean()}

    def loss(
        self, group: Group, log_p: Float[Tensor, "B C L"], reference: Float[Tensor, "B C L"] | None
    ) -> tuple[Float[Tensor, " B"], Shown]:
        losses = preference.contrast(log_p.sum(2), group.real, self.temperature)
        shown = {"contrast": losses.detach().mean()}
        return (losses - self.gamma * log_p[:, 0].mean(1) if self.gamma else losses), shown
