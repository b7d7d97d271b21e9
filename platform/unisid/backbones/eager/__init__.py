"""EAGER: one encoder, two decoders, each over an index of its own (Wang et al. 2024, arXiv 2406.14017).

A semantic id has two halves, of what users do and of what texts say (the tokenizer `paired`); either names an item.
Each decoder writes its half; what both find is scored by both: an item's score is the sum of the two log probabilities.

    L = L_behaviour + L_semantic + w_b C_behaviour + w_s C_semantic + w_t T

C (GCT): the state of a summary token behind a target's codes is drawn to its vector of that kind, as in UNGER, whose
token this is. T (STT): the text's summary state, fixed, helps to restore the behaviour's codes. A search uses neither.
B samples, T items of the longest history, l levels of a half, C candidates of a user, D width, N items, W width of
vectors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from unisid.backbones import NO_LIMITS, PAD, Backbone, BackboneConfig, Batch, Index, Limits, draw_items, tiger
from unisid.backbones.eager.streams import Stream, halves_of, merged, not_found, obeys, union
from unisid.bounds import Count, NotNegative, Positive, Width
from unisid.decoding.beam import Beam, Ranked, check
from unisid.decoding.beam import search as beam_search
from unisid.decoding.t5 import Memory, encode, remember
from unisid.errors import ArtifactError
from unisid.layers.transfer import Transfer
from unisid.layers.transformer import SPREAD
from unisid.ops.contrast import drawn_info_nce

VECTORS = "fused"
"""The noun of the vectors that both kinds are halves of."""


@dataclass(frozen=True, kw_only=True)
class Config(BackboneConfig):
    """The streams, of the size of the released code, and what training adds to their losses."""

    aligns: ClassVar[bool] = False

    decoder: tiger.Config = field(
        default_factory=lambda: tiger.Config(
            width=96,
            num_heads=4,
            head_width=24,
            feedforward_width=1024,
            num_encoder_layers=1,
            num_decoder_layers=2,
        )
    )
    """The encoder, and each of the two decoders, whose depth may be anything."""
    first_width: Width = 96
    """Dimensions of the fused vectors that say what users do; the others are of the text."""
    behaviour_contrast: NotNegative = 1.0
    """w_b."""
    semantic_contrast: NotNegative = 10.0
    """w_s."""
    transfer: NotNegative = 1.0
    """w_t."""
    temperature: Positive = 0.3
    """Of both contrasts."""
    num_negatives: Count = 2048
    """Items drawn for both contrasts, anew in every step; all items where they are no more than so many."""

    def build(self, index: Index) -> "Eager":
        return Eager(self, index)

    def rebuild(self, index: Index, files: Mapping[str, bytes]) -> "Eager":
        """Without what training alone needs."""
        return Eager(replace(self, behaviour_contrast=0.0, semantic_contrast=0.0, transfer=0.0), index)

    def vectors(self) -> tuple[str, ...]:
        return (VECTORS,) if self.behaviour_contrast or self.semantic_contrast else ()

    @property
    def contrasts(self) -> tuple[float, float]:
        """w_b and w_s."""
        return self.behaviour_contrast, self.semantic_contrast


class Eager(Backbone):
    """The first stream's encoder reads for both. What training alone needs lies beside the streams."""

    def __init__(self, config: Config, index: Index) -> None:
        super().__init__()
        self.config, halves = config, halves_of(index)
        self.streams = nn.ModuleList(tiger.Tiger(config.decoder, sizes) for sizes in halves.sizes)
        self.second.t5.encoder = nn.Identity()
        width = config.decoder.width
        if any(config.contrasts) or config.transfer:
            self.summaries = nn.Parameter(torch.randn(2, width) * SPREAD)
        if any(config.contrasts):
            self.project = nn.ModuleList(nn.Linear(width, each.shape[1]) for each in self._targets(index))
        if config.transfer:
            shape = config.decoder
            self.guided = Transfer(width, shape.num_heads, shape.feedforward_width, len(halves.sizes[0]))

    @property
    def first(self) -> tiger.Tiger:
        """The decoder over the index of interactions."""
        return self._stream(0)

    @property
    def second(self) -> tiger.Tiger:
        """The decoder over the index of texts."""
        return self._stream(1)

    def loss(self, batch: Batch, index: Index) -> Float[Tensor, ""]:
        halves, memories = halves_of(index), self.read(batch.histories, index)
        targets = halves.tokens(batch.targets)
        pairs = list(zip(memories, targets, strict=True))
        if not hasattr(self, "summaries"):
            parts = [self._stream(n).loss_after(memory, own) for n, (memory, own) in enumerate(pairs)]
            return torch.stack(parts).sum()
        found = [self._stream(n).summarised(memory, own, self.summaries[n]) for n, (memory, own) in enumerate(pairs)]
        loss, states = found[0][0] + found[1][0], [state for _, state in found]
        if any(self.config.contrasts):
            loss = loss + self.contrast(states, batch.targets, index)
        if self.config.transfer:
            codes = halves.codes[0][batch.targets].long()
            loss = loss + self.config.transfer * self.guided.loss(codes, self._tables(), states[1])
        return loss

    def contrast(self, states: list[Tensor], targets: Int[Tensor, " B"], index: Index) -> Float[Tensor, ""]:
        """Both kinds of C, weighted, means over samples."""
        loss = torch.zeros((), device=targets.device)
        kinds = zip(self.config.contrasts, states, self.project, self._targets(index), strict=True)
        for weight, state, project, vectors in kinds:
            if weight:
                found = project(functional.normalize(state.float(), dim=-1))
                drawn = draw_items(len(vectors), self.config.num_negatives, vectors.device)
                loss = loss + weight * drawn_info_nce(found, vectors, targets, drawn, self.config.temperature)
        return loss

    def log_probs(
        self, histories: Int[Tensor, "B T"], targets: Int[Tensor, " B"], index: Index
    ) -> Float[Tensor, "B L"]:
        """log p of the first half's levels, then of the second's."""
        return self.scores(self.read(histories, index), targets[:, None], index)[:, 0]

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
        """The best of what both streams find, by the sum of their scores (EAGER's confidence).

        What a stream does not find scores no higher in it than the last that it finds, or than a prefix that it
        dropped; so an item that neither finds has the sum of both at most: the `bound`.
        """
        check(k, beam, len(index.codes))
        halves, memories = halves_of(index), self.read(histories, index)
        if renormalised:  # a sum over all items needs all of them
            candidates = torch.arange(len(index.codes), device=histories.device).expand(len(histories), -1)
            bound = candidates.new_full((len(histories),), -torch.inf, dtype=torch.float32)
        else:
            found = [
                beam_search(
                    Stream(self._stream(number)),
                    memory,
                    halves.tries[number],
                    k=k,
                    beam=beam,
                    excluded=limits.excluded,
                    allowed=limits.allowed,
                )
                for number, memory in enumerate(memories)
            ]
            candidates = union(torch.cat([each.items for each in found], 1))
            bound = not_found(found[0]) + not_found(found[1])
        scores = self.scores(memories, candidates, index).sum(-1)
        if renormalised:
            scores = scores.log_softmax(-1)
        ranked = merged(candidates, scores.masked_fill(~obeys(limits, candidates), -torch.inf), k)
        return replace(ranked, bound=bound)

    def scores(
        self, memories: tuple[Memory, Memory], items: Int[Tensor, "B C"], index: Index
    ) -> Float[Tensor, "B C L"]:
        """log p of every code of some items by teacher forcing, the first half's by the first stream; of item 0 where
        one is PAD."""
        own = zip((self.first, self.second), memories, halves_of(index).tokens(items.clamp(min=0)), strict=True)
        return torch.cat([stream.log_probs_after(memory, tokens) for stream, memory, tokens in own], -1)

    def read(self, histories: Int[Tensor, "B T"], index: Index) -> tuple[Memory, Memory]:
        """Encode histories once, every item by the codes of both halves; returns each decoder's memory of them."""
        tokens = halves_of(index).tokens(histories)
        embedded = torch.cat([self._stream(number).embed(each) for number, each in enumerate(tokens)], 2).flatten(1, 2)
        real = (histories != PAD).repeat_interleave(embedded.shape[1] // histories.shape[1], 1)
        encoded = encode(self.first.t5.encoder, embedded, real)
        return remember(self.first.t5.decoder, encoded, real), remember(self.second.t5.decoder, encoded, real)

    def weights(self) -> dict[str, Tensor]:
        """The weights of both streams."""
        return {name: tensor for name, tensor in self.state_dict().items() if name.startswith("streams.")}

    def load(self, weights: Mapping[str, Tensor], index: Index) -> None:
        self.streams.load_state_dict({name.removeprefix("streams."): tensor for name, tensor in weights.items()})

    def _stream(self, number: int) -> tiger.Tiger:
        found = self.streams[number]
        assert isinstance(found, tiger.Tiger)
        return found

    def _tables(self) -> list[Tensor]:
        """The vectors of the first half's codes, by level."""
        starts, table = self.first.level_starts, self.first.t5.shared.weight
        return [table[start:end] for start, end in zip(starts, (*starts[1:], len(table)), strict=True)]

    def _targets(self, index: Index) -> tuple[Tensor, Tensor]:
        """The items' vectors of both kinds [N, W]."""
        vectors, edge = index.vectors.get(VECTORS), self.config.first_width
        if vectors is None or vectors.shape[1] <= edge:
            held = "none" if vectors is None else f"{vectors.shape[1]} dimensions"
            raise ArtifactError(
                f"eager.first_width: {edge} dimensions of the {VECTORS} vectors are of what users do, and more must be "
                f"of texts; the index has {held}: join both (fused.fusion unger, vector joined)"
            )
        return vectors[:, :edge], vectors[:, edge:]
