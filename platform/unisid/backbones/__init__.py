"""Backbones: from a history in semantic-id tokens, the next item's.

Tokens are numbered as `Codes.tokens` does, level after level from 0; `PAD` fills short rows on the right. What else a
backbone's vocabulary holds is its own affair. B samples, T tokens of the longest history, L levels, K beams, D width,
V vocabulary entries, N items.
"""

import itertools
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from unisid.config import Json, PlugIn

PAD = -1
"""Fills short rows of histories."""
NO_LOSS = -100
"""The label of an entry that is read and not learned."""


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

    def start_from(self, codes: NDArray[Any], texts: Sequence[str]) -> None:
        """Called once before training with every item's codes [N, L] and title; nothing where they are of no use."""

    def weights(self) -> dict[str, Tensor]:
        """What is saved, under the names that others load it by; tied tensors once."""
        return self.state_dict()

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """The inverse of `weights`."""
        self.load_state_dict(weights)

    def files(self) -> dict[str, bytes]:
        """What must lie beside the weights so that others can load them."""
        return {}


@dataclass(frozen=True)
class Packed:
    """Samples laid end to end in rows: none sees another, because its positions begin at 0."""

    ids: Int[Tensor, "B T"]
    """Vocabulary entries."""
    positions: Int[Tensor, "B T"]
    """Of every entry in its own sample."""
    labels: Int[Tensor, "B T"]
    """The entry itself where it is learned, `NO_LOSS` where it is only read."""

    @property
    def num_labels(self) -> int:
        """Entries that are learned."""
        return int((self.labels != NO_LOSS).sum())

    def to(self, device: torch.device) -> "Packed":
        return Packed(self.ids.to(device), self.positions.to(device), self.labels.to(device))


class Speaker(Backbone):
    """A backbone that also speaks words: semantic ids are tokens among those of a language."""

    opening: list[int]
    """Entries before a prompt's head: the beginning of a text, the chat template's."""
    closing: list[int]
    """Entries after a prompt's tail."""
    ending: list[int]
    """Entries that end a response."""
    max_tokens: int
    """Of the longest prompt and response together."""

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The entries of texts, nothing added to them; a semantic id's tokens become one entry each."""

    @abstractmethod
    def loss_of(self, packed: Packed) -> Float[Tensor, ""]:
        """The sum of -log p over the entries of `packed.labels` that are learned."""

    @abstractmethod
    def start_words(self, prompts: Int[Tensor, "B T"]) -> tuple[Any, Float[Tensor, "B 1 D"]]:
        """Read prompts in entries of the vocabulary, padded on the right with `PAD`; goes on as `start` does."""

    @abstractmethod
    def answer(self, prompts: Sequence[Sequence[int]], limit: int) -> list[str]:
        """The likeliest next word after each prompt (entries), and so on: words of the language alone, until the
        response ends or has `limit` entries."""


class BackboneConfig(PlugIn):
    """Base of every backbone's settings."""

    @abstractmethod
    def build(self, sizes: tuple[int, ...]) -> Backbone:
        """A backbone with fresh weights for an index of these level sizes; pretrained ones where it begins there."""

    def rebuild(self, sizes: tuple[int, ...], files: Mapping[str, bytes]) -> Backbone:
        """The structure alone, of what `Backbone.files` wrote; a trained model's weights are loaded into it."""
        return self.build(sizes)

    def sources(self) -> dict[str, Json]:
        """Pretrained weights that go in: role -> address and fingerprint."""
        return {}


def level_starts(sizes: tuple[int, ...], first: int) -> tuple[int, ...]:
    """The entry of code 0, by level, where the levels follow each other from entry `first` on."""
    return tuple(itertools.accumulate(sizes[:-1], initial=first))
