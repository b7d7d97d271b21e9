"""Backbones that read and generate tokens, as `decoding.beam` drives them.

B samples, T tokens of the longest history, L levels, K beams, D width, V vocabulary entries, C compared items.
"""

from abc import abstractmethod
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from unisid.backbones.parts.index import Index
from unisid.backbones.parts.interface import NO_LIMITS, Backbone, Batch, Limits
from unisid.decoding.beam import Beam, Ranked
from unisid.decoding.beam import search as beam_search
from unisid.decoding.sample import draw, log_probs_of


class TokenBackbone(Backbone):
    """A backbone that reads and generates tokens, one after the other; the `Decoder` of `decoding.beam.search`."""

    prunes = True
    level_starts: tuple[int, ...]
    """The vocabulary entry of code 0, by level."""

    @abstractmethod
    def token_log_probs(self, histories: Int[Tensor, "B T"], targets: Int[Tensor, "B L"]) -> Float[Tensor, "B L"]:
        """log p(token | history, tokens before), of histories and targets in tokens."""

    @abstractmethod
    def token_loss(self, histories: Int[Tensor, "B T"], targets: Int[Tensor, "B L"]) -> Float[Tensor, ""]:
        """The mean over samples and levels of -log p(token | history, tokens before), of histories in tokens."""

    @abstractmethod
    def start(self, prompts: Int[Tensor, "B T"]) -> tuple[Any, Float[Tensor, "B 1 D"]]:
        """Read histories in tokens: as `decoding.beam.Decoder`."""

    @abstractmethod
    def step(
        self, state: Any, tokens: Int[Tensor, "B K"], parents: Int[Tensor, "B K"]
    ) -> tuple[Any, Float[Tensor, "B K D"]]:
        """Append one token to every beam: as `decoding.beam.Decoder`."""

    @abstractmethod
    def logits(self, hidden: Float[Tensor, "B K D"], entries: slice) -> Float[Tensor, "B K V"]:
        """The head: as `decoding.beam.Decoder`."""

    def log_probs(
        self, histories: Int[Tensor, "B T"], targets: Int[Tensor, " B"], index: Index
    ) -> Float[Tensor, "B L"]:
        return self.token_log_probs(index.tokens(histories).flatten(1), index.tokens(targets))

    def log_probs_of(
        self, histories: Int[Tensor, "B T"], items: Int[Tensor, "B C"], index: Index
    ) -> Float[Tensor, "B C L"]:
        tokens = index.tokens(items.clamp_min(0)) + self.level_starts[0]
        return log_probs_of(self, index.tokens(histories).flatten(1), tokens)

    def draw(
        self,
        histories: Int[Tensor, "B T"],
        index: Index,
        *,
        k: int,
        temperature: float = 1.0,
        limits: Limits = NO_LIMITS,
    ) -> Int[Tensor, "B k"]:
        prompts = index.tokens(histories).flatten(1)
        return draw(
            self, prompts, index.trie, k=k, temperature=temperature, excluded=limits.excluded, allowed=limits.allowed
        )

    def loss(self, batch: Batch, index: Index) -> Float[Tensor, ""]:
        return self.token_loss(index.tokens(batch.histories).flatten(1), index.tokens(batch.targets))

    def search(
        self,
        histories: Int[Tensor, "B T"],
        index: Index,
        *,
        k: int,
        beam: Beam,
        limits: Limits = NO_LIMITS,
        renormalised: bool = False,
    ) -> Ranked:
        prompts = index.tokens(histories).flatten(1)
        return beam_search(
            self,
            prompts,
            index.trie,
            k=k,
            beam=beam,
            excluded=limits.excluded,
            allowed=limits.allowed,
            renormalised=renormalised,
            floor=limits.floor,
        )
