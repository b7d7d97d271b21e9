"""Objectives that align a trained recommender: what is learned from its own answers, one module a kind.

A prompt is a history of the training interactions; its target is the item of that same interaction. The recommender
answers each prompt with items (beams over the trie, or samples); an objective says which items are compared, and what
the loss of each prompt is, given the log-probability of their tokens. B prompts, G answers, C compared items, L levels,
N items.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unisid.config import PlugIn

Shown = Mapping[str, Any]
"""Figures by name, a number each; tensors, so that nothing waits for the device."""


@dataclass(frozen=True)
class Answered:
    """Prompts with what the recommender answered, best first; -1 fills short rows."""

    answers: Int[Tensor, "B G"]
    targets: Int[Tensor, " B"]
    codes: Int[Tensor, "N L"]
    """Of all items."""
    rewards: Float[Tensor, "B G"] | None = None
    """What each answer is worth, where the objective has a reward model: log p of the item under it."""

    @property
    def hits(self) -> Bool[Tensor, "B G"]:
        """Which answers are the target."""
        return self.answers == self.targets[:, None]

    def codes_of(self, items: Int[Tensor, "*rows"]) -> Int[Tensor, "*rows L"]:
        """The codes of items; of the first item where one is -1."""
        return self.codes[items.clamp_min(0)].long()


@dataclass(frozen=True)
class Group:
    """The items that a prompt's loss compares."""

    items: Int[Tensor, "B C"]
    real: Bool[Tensor, "B C"]
    """False: fills a short row."""
    credit: Float[Tensor, "B C L"] | None = None
    """What pushes each token, where the objective has that."""
    useful: Bool[Tensor, " B"] | None = None
    """Which prompts have a gradient; None: all."""

    def rows(self, rows: Int[Tensor, " b"]) -> "Group":
        """Some of the prompts."""
        credit = None if self.credit is None else self.credit[rows]
        return Group(self.items[rows], self.real[rows], credit)


class AlignmentConfig(PlugIn):
    """Base of every objective's settings."""

    explores: ClassVar[bool] = True
    """Whether the recommender answers prompts at all."""

    @property
    def needs_reference(self) -> bool:
        """Whether it reads log p of the recommender that it began with."""
        return False

    @property
    def needs_rewards(self) -> bool:
        """Whether another recommender says what an answer is worth."""
        return False

    def check(self, num_levels: int) -> None:
        """Raise ConfigError where the settings do not fit semantic ids of so many levels."""

    @abstractmethod
    def group(self, answered: Answered) -> tuple[Group, Shown]:
        """The answers to compare, and further figures to log; called without gradients."""

    @abstractmethod
    def loss(
        self, group: Group, log_p: Float[Tensor, "B C L"], reference: Float[Tensor, "B C L"] | None
    ) -> tuple[Float[Tensor, " B"], Shown]:
        """The loss of every prompt, and further figures to log."""


def target_first(answered: Answered) -> Group:
    """The target, then the wrong answers."""
    items = torch.cat([answered.targets[:, None], answered.answers], 1)
    wrong = (answered.answers >= 0) & ~answered.hits
    return Group(items, torch.cat([torch.ones_like(wrong[:, :1]), wrong], 1))
