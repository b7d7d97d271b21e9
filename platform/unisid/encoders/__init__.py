"""Item text to token states: the interface that every encoder offers, in two halves that run on different machines.

The tokenizer needs a CPU and no weights, the encoder wants a GPU; so they are built apart. B texts, T tokens of the
longest, D width, n tokens of all texts together.
"""

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unisid.artifacts.store import Place
from unisid.config import Json, PlugIn


@dataclass(frozen=True)
class Tokens:
    """Tokenised texts, joined without padding."""

    ids: Int[np.ndarray, " n"]
    lengths: Int[np.ndarray, " B"]
    """0 where a text has no token at all."""
    truncated: Bool[np.ndarray, " B"]
    """The text went on."""


class Tokenizer(Protocol):
    """Texts to token ids, the special tokens of the encoder included."""

    def __call__(self, texts: Sequence[str]) -> Tokens: ...


class Encoder(Protocol):
    """Token ids, padded on the right, to last hidden states. It has no gradient and no dropout."""

    width: int
    causal: bool
    """No token sees those after it: padding on the right then needs no mask."""

    def __call__(self, ids: Int[Tensor, "B T"], real: Bool[Tensor, "B T"] | None) -> Float[Tensor, "B T D"]:
        """The states; those of padding hold anything. Without `real`, every token is real."""
        ...


class EncoderConfig(PlugIn):
    """Base of the encoders' Configs."""

    reads: ClassVar[Literal["text", "item_id"]] = "text"
    """What its tokenizer is given of an item. One of ids has a single token an item, 0 where it has nothing of it."""
    grows: ClassVar[bool] = False
    """Whether its source may be another when an index is extended: vectors of more items, where weights must stay."""

    @abc.abstractmethod
    def tokenizer(self, max_tokens: int) -> Tokenizer:
        """A tokenizer that cuts every text to `max_tokens`, special tokens included."""

    @abc.abstractmethod
    def build(self, device: torch.device) -> Encoder:
        """The encoder, its weights loaded, on a device."""

    def on(self, device: torch.device) -> "EncoderConfig":
        """Itself, with what it leaves to the device decided: the type of its numbers."""
        return self

    def of(self, catalog: Place) -> "EncoderConfig":
        """The encoder of a catalogue's items: itself, unless it learns from their interactions."""
        return self

    def source(self) -> Json | None:
        """The weights from outside that decide the result: {"address", "fingerprint"}; None where there are none."""
        return None


def join(rows: Sequence[Sequence[int]], truncated: Sequence[bool]) -> Tokens:
    """Tokens from one list of ids a text."""
    lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
    ids = np.fromiter((i for row in rows for i in row), np.int32, int(lengths.sum()))
    return Tokens(ids, lengths, np.array(truncated, bool))
