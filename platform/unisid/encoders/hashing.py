"""A toy encoder that needs no model: every word has a fixed random vector, mixed with its neighbours'.

It is deterministic and offline, for tests, for planted data, and for trying out a pipeline. Texts that share words
are near each other; meaning plays no part. B texts, T tokens, D width.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unisid.bounds import Count, NotNegative, Seed, Width
from unisid.encoders import Encoder, EncoderConfig, Tokenizer, Tokens, join

WORD = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True)
class Config(EncoderConfig):
    """Hashed random vectors."""

    width: Width = 64
    """Entries of a state."""
    buckets: Count = 1 << 15
    """Different vectors; words that hash to one bucket are one word."""
    mix: NotNegative = 0.25
    """Weight of each neighbour's vector in a token's state."""
    seed: Seed = 0
    """Draws the vectors."""

    def tokenizer(self, max_tokens: int) -> Tokenizer:
        return Words(self.buckets, max_tokens)

    def build(self, device: torch.device) -> Encoder:
        return Hashing(self, device)


@dataclass(frozen=True)
class Words:
    """Words in lower case, each by its CRC-32."""

    buckets: int
    max_tokens: int

    def __call__(self, texts: Sequence[str]) -> Tokens:
        words = [WORD.findall(text.lower()) for text in texts]
        ids = [[zlib.crc32(word.encode()) % self.buckets for word in row[: self.max_tokens]] for row in words]
        return join(ids, [len(row) > self.max_tokens for row in words])


class Hashing:
    """s_t = e_t + mix (e_{t-1} + e_{t+1}), with nothing beyond the ends."""

    causal = False

    def __init__(self, config: Config, device: torch.device) -> None:
        self.width, self.mix = config.width, config.mix
        # Drawn on the CPU, so that every device has the same vectors.
        random = torch.Generator().manual_seed(config.seed)
        self.vectors = torch.randn(config.buckets, config.width, generator=random).to(device)

    def __call__(self, ids: Int[Tensor, "B T"], real: Bool[Tensor, "B T"] | None) -> Float[Tensor, "B T D"]:
        own = self.vectors[ids]
        if real is not None:
            own = own * real[:, :, None]
        states = own.clone()
        states[:, 1:] += self.mix * own[:, :-1]
        states[:, :-1] += self.mix * own[:, 1:]
        return states
