"""The control: supervised training continued on the same prompts, in the same steps, at the same rate.

An objective that does not beat it has shown nothing but that the recommender was not trained long enough.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from unisid.alignment import AlignmentConfig, Answered, Group, Shown


@dataclass(frozen=True, kw_only=True)
class Config(AlignmentConfig):
    """Nothing to set: -log p of the target, the mean over its tokens."""

    explores: ClassVar[bool] = False

    def group(self, answered: Answered) -> tuple[Group, Shown]:
        return Group(answered.targets[:, None], torch.ones_like(answered.targets[:, None], dtype=torch.bool)), {}

    def loss(
        self, group: Group, log_p: Float[Tensor, "B C L"], reference: Float[Tensor, "B C L"] | None
    ) -> tuple[Float[Tensor, " B"], Shown]:
        return -log_p[:, 0].mean(1), {}
