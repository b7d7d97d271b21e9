"""Backbones over a language model, whose prompts and responses are words and semantic ids.

B prompts, T entries of the longest, M new tokens, L levels, D width, N items.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from unisid.artifacts.catalog import Catalog
from unisid.backbones.parts.index import Index
from unisid.backbones.parts.tokens import TokenBackbone
from unisid.ops.prompts import Prompts

NO_LOSS = -100
"""The label of an entry that is read and not learned."""


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


class LanguageBackbone(TokenBackbone):
    """A backbone over a language model: semantic ids are tokens beside the language's own."""

    opening: list[int]
    """Entries before a prompt's head: the beginning of a text, the chat template's."""
    closing: list[int]
    """Entries after a prompt's tail."""
    ending: list[int]
    """Entries that end a response."""
    max_tokens: int
    """Of the longest prompt and response together."""
    asks: Prompts
    """What histories, titles and semantic ids are put into: the same in training, validation and serving."""

    @abstractmethod
    def ask_with(self, prompts: Prompts) -> None:
        """Ask with these prompts from here on, and lay them beside the weights: once before training.

        Raises ConfigError where they leave no room for an item.
        """

    @abstractmethod
    def start_from(self, codes: NDArray[Any], texts: Sequence[str]) -> None:
        """Take first rows of the new tokens from every item's codes [N, L] and title, once before training."""

    def count(self, catalog: Catalog, index: Index) -> None:
        self.start_from(index.codes.numpy(), catalog.titles.to_pylist())

    def go_on_from(
        self, weights: Mapping[str, Tensor], catalog: Catalog, index: Index, was: Int[Tensor, " N"] | None = None
    ) -> None:
        self.load(weights, index)  # the new tokens' rows are learned already

    @abstractmethod
    def start_from_keywords(self, levels: NDArray[Any], codes: NDArray[Any], keywords: Sequence[Sequence[str]]) -> None:
        """Take first rows of the new tokens from their keywords, once before training, where the settings say so.

        Args:
            levels, codes: of every token [M] that has keywords.
        """

    @abstractmethod
    def new_rows(self) -> Float[Tensor, "M D"]:
        """A copy of the new tokens' rows in the embedding, level after level, on the CPU."""

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
    def answer(self, prompts: Sequence[Sequence[int]], limit: int, beams: int = 1) -> list[str]:
        """The likeliest next word after each prompt (entries), and so on, or the likeliest of so many beams: words of
        the language alone, until the response ends or has `limit` entries."""
