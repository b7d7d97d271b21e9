"""Backbones: from a history in semantic-id tokens, the next item's.

Tokens are numbered as `Codes.tokens` does, level after level from 0; `PAD` fills short rows on the right. What else a
backbone's vocabulary holds is its own affair. B samples, T tokens of the longest history, L levels, K beams, D width,
V vocabulary entries.
"""

import itertools
from abc import abstractmethod
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from unisid.config import PlugIn

PAD = -1
"""Fills short rows of histories."""


class Backbone(nn.Module):
    """A recommender to train and to decode: the loss, and the `Decoder` that `ops.beam.search` drives."""

    level_starts: tuple[int, ...]
    """The vocabulary entry of code 0, by level."""

    @abstractmethod
    def loss(self, histories: Int[Tensor, "B T"], targets: Int[Tensor, "B L"]) -> Float[Tensor, ""]:
        """The mean over samples and levels of -log p(token | history, tokens before)."""

    @abstractmethod
    def start(self, prompts: Int[Tensor, "B T"]) -> tuple[Any, Float[Tensor, "B 1 D"]]:
        """Read histories: as `ops.beam.Decoder`."""

    @abstractmethod
    def step(
        self, state: Any, tokens: Int[Tensor, "B K"], parents: Int[Tensor, "B K"]
    ) -> tuple[Any, Float[Tensor, "B K D"]]:
        """Append one token to every beam: as `ops.beam.Decoder`."""

    @abstractmethod
    def logits(self, hidden: Float[Tensor, "B K D"], entries: slice) -> Float[Tensor, "B K V"]:
        """The head: as `ops.beam.Decoder`."""


class BackboneConfig(PlugIn):
    """Base of every backbone's settings."""

    @abstractmethod
    def build(self, sizes: tuple[int, ...]) -> Backbone:
        """A backbone with fresh weights for an index of these level sizes."""


def level_starts(sizes: tuple[int, ...], first: int) -> tuple[int, ...]:
    """The entry of code 0, by level, where the levels follow each other from entry `first` on."""
    return tuple(itertools.accumulate(sizes[:-1], initial=first))
