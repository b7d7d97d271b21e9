"""Backbones: from a history of items, the next item's semantic id.

Histories and targets are item numbers; an `Index` says which codes and which vectors the items have. Tokens are
numbered as `Codes.tokens` does, level after level from 0; `PAD` fills short rows on the right. Other vocabulary
entries (specials, words) are backbone-specific. B samples, T items of the longest history (or tokens, where said),
L levels, K beams, D width, V vocabulary entries, N items.
"""

import itertools
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from unisid.artifacts.catalog import Catalog
from unisid.config import Json, PlugIn
from unisid.decoding import trie
from unisid.decoding.beam import Beam, Ranked
from unisid.decoding.beam import search as beam_search
from unisid.decoding.sample import draw, log_probs_of
from unisid.decoding.trie import Trie
from unisid.errors import ConfigError
from unisid.language.hugging_face import HuggingFace, none_of_it
from unisid.ops.prompts import Prompts

PAD = -1
"""Fills short rows of histories."""
NO_LOSS = -100
"""The label of an entry that is read and not learned."""


@dataclass(frozen=True, eq=False)
class Index:
    """The items of a catalogue as a backbone sees them: semantic ids, the trie over these, and named vectors."""

    codes: Int[Tensor, "N L"]
    """int32."""
    sizes: tuple[int, ...]
    """The number of codes of every level."""
    trie: Trie
    vectors: Mapping[str, Float[Tensor, "N _"]] = field(default_factory=dict)
    """What else is there of every item, by name (fused, graph, ...)."""
    titles: Sequence[str] = ()
    """Of every item, or none."""

    @classmethod
    def of(
        cls,
        codes: NDArray[Any],
        sizes: tuple[int, ...],
        vectors: Mapping[str, NDArray[Any]] | None = None,
        titles: Sequence[str] = (),
    ) -> "Index":
        """On the CPU, of unique codes [N, L]."""
        held, named = torch.from_numpy(np.array(codes, np.int32)), (vectors or {}).items()
        return cls(held, sizes, trie.build(held), {name: torch.from_numpy(values) for name, values in named}, titles)

    def to(self, device: torch.device) -> "Index":
        vectors = {name: values.to(device) for name, values in self.vectors.items()}
        return Index(self.codes.to(device), self.sizes, self.trie.to(device), vectors, self.titles)

    def tokens(self, items: Int[Tensor, "*rows"]) -> Int[Tensor, "*rows L"]:
        """The tokens of items; `PAD` L times where an item is `PAD`."""
        offsets = torch.tensor(level_starts(self.sizes, 0), device=self.codes.device)
        found = self.codes[items.clamp_min(0)].long() + offsets
        return torch.where((items == PAD)[..., None], PAD, found)


@dataclass(frozen=True)
class Batch:
    """Histories and what followed them, in items; short rows are filled up with `PAD`."""

    histories: Int[Tensor, "B T"]
    targets: Int[Tensor, "B *T"]
    """[B]: the item after the whole history; or [B, T]: the one after every item of it."""

    @property
    def num_targets(self) -> int:
        """How many items are targets."""
        return int((self.targets != PAD).sum())

    def rows(self, rows: slice) -> "Batch":
        """Some of the samples."""
        return Batch(self.histories[rows], self.targets[rows])

    def to(self, device: torch.device) -> "Batch":
        return Batch(self.histories.to(device, non_blocking=True), self.targets.to(device, non_blocking=True))


@dataclass(frozen=True)
class Limits:
    """Which items may be answered, and which were taken before."""

    excluded: Int[Tensor, "B E"] | None = None
    """Items not to be answered, by sample; `PAD` fills short rows."""
    allowed: Bool[Tensor, "*samples N"] | None = None
    """Whether an item may be answered: [N] for all samples, or [B, N]."""
    taken: Int[Tensor, "B E"] | None = None
    """All that the user took, oldest first, of which a history holds the last; for backbones that learn whether items
    are taken again. `PAD` fills short rows."""


NO_LIMITS = Limits()


class Backbone(nn.Module):
    """A recommender to train and to decode."""

    @abstractmethod
    def log_probs(
        self, histories: Int[Tensor, "B T"], targets: Int[Tensor, " B"], index: Index
    ) -> Float[Tensor, "B L"]:
        """log p(code of the target | history, codes before) by level; their sum is log p(target)."""

    @abstractmethod
    def loss(self, batch: Batch, index: Index) -> Float[Tensor, ""]:
        """The mean over targets (and levels, where a backbone learns each as a token) of what training minimises."""

    @abstractmethod
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
        """The best k items after every history.

        Args:
            beam: the prefixes that are kept at a level, or by level, where the search is not exact; the largest number
                where it has no levels.
            renormalised: scores are log probabilities among the items of the index alone, which add up to 1.
        """

    def log_probs_of(
        self, histories: Int[Tensor, "B T"], items: Int[Tensor, "B C"], index: Index
    ) -> Float[Tensor, "B C L"]:
        """`log_probs` of C items after every history, which is read once where a backbone can; of any item where one
        is `PAD`."""
        rows = histories.repeat_interleave(items.shape[1], 0)
        return self.log_probs(rows, items.clamp_min(0).flatten(), index).unflatten(0, items.shape)

    def likeliest(self, histories: Int[Tensor, "B T"], index: Index, *, k: int, limits: Limits = NO_LIMITS) -> Ranked:
        """The k items of highest `log_probs` alone, by k beams: `search` without what else a backbone's scores have."""
        return self.search(histories, index, k=k, beam=k, limits=limits)

    def draw(
        self,
        histories: Int[Tensor, "B T"],
        index: Index,
        *,
        k: int,
        temperature: float = 1.0,
        limits: Limits = NO_LIMITS,
    ) -> Int[Tensor, "B k"]:
        """k items after every history by torch's random state, each by itself, so that one may come twice; -1 where
        none may be answered. By `log_probs` over the items of the index that may, divided by the temperature."""
        scores = self.likeliest(histories, index, k=len(index.codes), limits=limits)
        chances = (scores.scores / temperature).softmax(1).nan_to_num(1.0)
        return scores.items.gather(1, torch.multinomial(chances, k, replacement=True))

    def count(self, catalog: Catalog, index: Index) -> None:
        """Take what is counted from the training interactions, once before training; nothing where none is."""

    def blend(
        self, samples: Iterable[tuple[Batch, Limits]], index: Index, total: Callable[[Tensor], Tensor]
    ) -> dict[str, float]:
        """Fit how much each part of a search's score counts to validation samples; returns the weights by name.

        By default a score has one part, and there is nothing to fit.

        Args:
            samples: this worker's share.
            total: the sum of a tensor over all workers.
        """
        return {}

    def weigh_new(self, catalog: Catalog, index: Index, share: float | None = None) -> float:
        """Raise the scores of items without training interactions to those of others; returns what is added to one.

        By default nothing is. Called once when a trained recommender is loaded; never while it trains.

        Args:
            catalog: whose training interactions show histories.
            share: of the probability, for new items together; None: their share of the catalogue; 0: nothing is added.
        """
        return 0.0

    def weights(self) -> dict[str, Tensor]:
        """What is saved, under the names that others load it by; tied tensors once."""
        return self.state_dict()

    def load(self, weights: Mapping[str, Tensor], index: Index) -> None:
        """The inverse of `weights`; the index may extend the one that was trained on."""
        self.load_state_dict(weights)

    def go_on_from(self, weights: Mapping[str, Tensor], catalog: Catalog, index: Index) -> None:
        """Begin training with trained weights; what is counted from interactions is counted anew."""
        self.load(weights, index)
        self.count(catalog, index)

    def files(self) -> dict[str, bytes]:
        """What must lie beside the weights so that others can load them."""
        return {}

    def hugging_face(self) -> HuggingFace:
        """What the transformers library loads by itself; raises ConfigError where this is no model of it."""
        raise none_of_it(type(self).__module__)


class TokenBackbone(Backbone):
    """A backbone that reads and generates tokens, one after the other: the `Decoder` that `ops.beam.search` drives."""

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
        """Read histories in tokens: as `ops.beam.Decoder`."""

    @abstractmethod
    def step(
        self, state: Any, tokens: Int[Tensor, "B K"], parents: Int[Tensor, "B K"]
    ) -> tuple[Any, Float[Tensor, "B K D"]]:
        """Append one token to every beam: as `ops.beam.Decoder`."""

    @abstractmethod
    def logits(self, hidden: Float[Tensor, "B K D"], entries: slice) -> Float[Tensor, "B K V"]:
        """The head: as `ops.beam.Decoder`."""

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
        )


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

    def go_on_from(self, weights: Mapping[str, Tensor], catalog: Catalog, index: Index) -> None:
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


class BackboneConfig(PlugIn):
    """Base of every backbone's settings."""

    learns_from: ClassVar[Literal["samples", "windows"]] = "samples"
    """Histories with one target each, or windows of users' sequences in which every item but the first is one."""
    aligns: ClassVar[bool] = True
    """Whether it can learn from its own answers: whether what it is ranked by has a log p with a gradient."""

    @abstractmethod
    def build(self, index: Index) -> Backbone:
        """A backbone with fresh weights for the items of an index; pretrained ones where it begins there."""

    def rebuild(self, index: Index, files: Mapping[str, bytes]) -> Backbone:
        """The structure alone, of what `Backbone.files` wrote; a trained model's weights are loaded into it."""
        return self.build(index)

    def vectors(self) -> tuple[str, ...]:
        """The names of the item vectors that it reads (fused, graph): nouns whose artifacts hold them."""
        return ()

    def reads(self) -> tuple[Literal["keywords"], ...]:
        """Nouns besides vectors that its first weights are made from."""
        return ()

    def sources(self) -> dict[str, Json]:
        """Pretrained weights that go in: role -> address and fingerprint."""
        return {}


def draw_items(num_items: int, most: int, device: torch.device) -> Int[Tensor, " K"]:
    """Items drawn by torch's random state; all of them, each once, where they are no more than `most`."""
    if num_items <= most:
        return torch.arange(num_items, device=device)
    return torch.randint(num_items, (most,), device=device)


def level_starts(sizes: tuple[int, ...], first: int) -> tuple[int, ...]:
    """The entry of code 0, by level, where the levels follow each other from entry `first` on."""
    return tuple(itertools.accumulate(sizes[:-1], initial=first))


def check_length(kind: str, max_length: int, length: int) -> None:
    """Raises ConfigError where a catalogue's histories, of so many items, are longer than what a backbone reads."""
    if length > max_length:
        raise ConfigError(
            f"{kind}.max_length: is {max_length}, the catalogue's histories have {length} items; must be at least that"
        )
