"""A trained recommender in use: ranks items for histories and, with a language model, reads and writes words.

n histories or texts, k items each, L levels, N items, B batch, T entries of the longest prompt, K beams, D width,
V vocabulary entries.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from torch import Tensor

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.model import BACKBONE, WEIGHTS, Model, numbers_before
from unisid.artifacts.reading import whole
from unisid.artifacts.record import require
from unisid.artifacts.store import Place
from unisid.artifacts.vectors import item_vectors
from unisid.backbones import Backbone, BackboneConfig, Index, LanguageBackbone, Limits
from unisid.config import from_record
from unisid.decoding import beam
from unisid.decoding.beam import Beam, Ranked
from unisid.errors import ConfigError, DataError
from unisid.ops.padding import padded
from unisid.ops.prompts import Prompt, clean
from unisid.ops.semantic_ids import spell_all
from unisid.serving.inputs import BEAM, beams, claim, history_rows, item_numbers, item_subset, usual_beams, worded
from unisid.serving.proven import Proven

TITLE_TOKENS = 64
"""Most entries of a generated title."""
Answer = tuple[Int[np.ndarray, "n k"], Float[np.ndarray, "n k"]]
"""Items and their log-probabilities, best first; item -1 of score -inf fills up."""


@dataclass(frozen=True)
class Recommender:
    """A trained backbone with its index and the history length that it was trained with."""

    backbone: Backbone
    index: Index
    history_length: int
    device: torch.device
    batch_size: int = 128
    beams: Beam = BEAM
    """Prefixes that a search keeps where the caller names no width, and nowhere fewer than the items wanted."""

    @classmethod
    def load(
        cls,
        model: Place,
        codes: Place,
        catalog: Place,
        device: torch.device | None = None,
        vectors: Mapping[str, Place] | None = None,
        new_share: float | None = None,
        goes_on: bool = False,
        index: Index | None = None,
    ) -> "Recommender":
        """A recommender of stored artifacts.

        Args:
            new_share: of the probability, that items without training interactions are to hold together, where the
                backbone can raise their scores; None: their share of the catalogue; 0: they are as they score.
            vectors: where the item vectors lie that the backbone reads, by noun (fused, graph); those of the index
                where an extended one has items that the model was not trained on. Left out, such items have none.
            goes_on: as further training on the index would begin, which may be one that is named after the one it was
                trained on: to see what a refresh changes.
            index: the items of the codes, on the CPU, where the caller has them already.

        Raises:
            ArtifactError: the model was trained on another index, or an artifact is incomplete.
        """
        read = Codes.read(codes)
        trained = Model.read(model, read, goes_on)
        device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        settings = settings_of(trained)
        shop = Catalog.read(catalog)
        if index is None:
            held = item_vectors(vectors or {}, settings.vectors())
            index = Index.of(read.codes, read.sizes, held, shop.titles.to_pylist() if read.extends else ())
        backbone = settings.rebuild(index, trained.files())
        with whole(model, WEIGHTS, f"the weights of the backbone that {BACKBONE} describes"):
            was = numbers_before(model, read, shop) if goes_on else None
            if was is None:
                backbone.load(trained.weights(), index)
            else:
                backbone.go_on_from(trained.weights(), shop, index, torch.from_numpy(was))
        backbone, index = backbone.to(device).eval(), index.to(device)
        backbone.weigh_new(shop, index, new_share)
        return cls(backbone, index, shop.history_length, device, beams=usual_beams(index.sizes))

    @torch.no_grad()
    def rank(
        self,
        histories: Sequence[ArrayLike],
        k: int,
        exclude_history: bool = True,
        beam_width: int | Sequence[int] | None = None,
        allowed: ArrayLike | None = None,
        renormalised: bool = False,
    ) -> Answer:
        """The best k items for each history of item numbers, oldest first.

        Only the last `history_length` items of a history are read, but `exclude_history` excludes all of its items.
        Where fewer than k items may be recommended to a history, item -1 of score -inf fills its row up; a row of -1
        alone means that no item may (all are excluded or not allowed).

        Args:
            beam_width: prefixes that are kept, where the search is not exact: at each level, or a sequence of so many
                by level, the last for all further ones; None: the larger of k and `beams`. None may be smaller than k.
            allowed: True for the items that may be recommended (in stock, sold in a market): [N] for all histories
                alike, or [n, N] whose row i is for histories[i]. It changes no score.
            renormalised: probabilities among the codes of the index alone, which add up to 1 over all items; else
                among all words of the backbone.

        Raises:
            ConfigError: for a beam smaller than k, k larger than the catalogue, a k or `beam_width` that is no
                integer, or `allowed` of another type or shape.
            DataError: for a history that is empty, is no list of integers, or has an unknown item.
            ArtifactError: for a model whose weights give NaN or infinite scores.
        """
        found = self.prove(histories, k, exclude_history, beam_width, allowed, renormalised)
        return found.items, found.scores

    @torch.no_grad()
    def prove(
        self,
        histories: Sequence[ArrayLike],
        k: int,
        exclude_history: bool = True,
        beam_width: int | Sequence[int] | None = None,
        allowed: ArrayLike | None = None,
        renormalised: bool = False,
        widest: int | None = None,
    ) -> Proven:
        """As `rank`, and how many of the items are certainly the best of all.

        Histories whose answer is not proven whole are searched again: with as many beams as there are prefixes that
        score no less than the last item found, where the backbone prunes by that, else with beams twice as wide each
        time; up to `widest`.

        Args:
            widest: the widest beam; None for that of the first search alone.
        Raises:
            ConfigError: as `rank`, and for a `widest` below the width of the first search.
        """
        k, width = beams(k, beam_width, len(self.index.codes), self.beams)
        if widest is not None:
            beams(k, widest, len(self.index.codes))
            if widest < beam.widest(width):
                raise ConfigError(f"recommender: widest is {widest}, the first beam {width}; must be at least as wide")
        rows = history_rows(histories, len(self.index.codes))
        mask = item_subset(allowed, len(rows), len(self.index.codes))
        flags = claim(exclude_history, "exclude_history"), claim(renormalised, "renormalised")
        found = self._ranked(rows, mask, k, width, *flags)
        while beam.narrowest(width) < (widest or 0) and len(again := np.flatnonzero(~found.whole)):
            width = widest or 0 if self.backbone.prunes else beam.doubled(width, widest or 0)
            some = mask if mask is None or mask.ndim == 1 else mask[again]
            wider = self._ranked([rows[n] for n in again], some, k, width, *flags, found.scores[again, -1])
            for name in ("items", "scores", "bound", "beam"):
                getattr(found, name)[again] = getattr(wider, name)
        return found

    def _ranked(
        self,
        rows: Sequence[Int[np.ndarray, " _"]],
        mask: Bool[np.ndarray, "*n N"] | None,
        k: int,
        width: Beam,
        excluding: bool,
        renormalised: bool,
        floor: Float[np.ndarray, " n"] | None = None,
    ) -> Proven:
        """The ranked items of one search; its arguments were checked before."""
        prompts = [row[-self.history_length :] for row in rows]

        def search(read: Int[Tensor, "B T"], limits: Limits) -> Ranked:
            return self.backbone.search(read, self.index, k=k, beam=width, limits=limits, renormalised=renormalised)

        items, scores, bound = self._search(search, prompts, k, mask, rows, excluding, floor)
        return Proven(items, scores, bound, np.full(len(rows), beam.widest(width)))

    @torch.no_grad()
    def find(self, texts: Sequence[str], k: int, beam_width: int | Sequence[int] | None = None) -> Answer:
        """The k most probable items for each text.

        Raises:
            ConfigError: as `rank`, and where the backbone is no language model.
            DataError: for a text without words.
        """
        language = self._language()
        k, width = beams(k, beam_width, len(self.index.codes), self.beams)
        texts = worded(texts)
        cleaned = [clean(text) for text in texts]
        if "" in cleaned:
            number = cleaned.index("")
            raise DataError(f"text {number}: {texts[number]!r} has no words in it; a text needs at least one")
        prompts = _prompt_entries(language, language.asks.title_to_sid, cleaned, len(self.index.sizes))

        def search(read: Int[Tensor, "B T"], limits: Limits) -> Ranked:
            return beam.search(_InWords(language), read, self.index.trie, k=k, beam=width)

        return self._search(search, [np.array(prompt) for prompt in prompts], k)[:2]

    @torch.no_grad()
    def title_of(self, items: Sequence[int] | Int[np.ndarray, " n"], beams: int = 1) -> list[str]:
        """The titles that the backbone generates for items [n], which need not be the catalogue's.

        Args:
            beams: of the search for them; 1 takes the likeliest next word each time.

        Raises:
            ConfigError: where the backbone is no language model.
            DataError: for an unknown item.
        """
        language = self._language()
        if np.size(items) == 0:
            return []
        numbers = item_numbers(items, len(self.index.codes), "items")
        sids = spell_all(self.index.codes.cpu().numpy()[numbers])
        prompts = _prompt_entries(language, language.asks.sid_to_title, sids, 0)
        limit = min(TITLE_TOKENS, language.max_tokens - max(map(len, prompts), default=0))
        titles = np.empty(len(items), dtype=object)
        for some in self._batches(prompts):
            titles[some] = language.answer([prompts[number] for number in some], limit, beams)
        return list(titles)

    def _search(
        self,
        search: Callable[[Int[Tensor, "B T"], Limits], Ranked],
        prompts: Sequence[Int[np.ndarray, " _"]],
        k: int,
        allowed: Bool[np.ndarray, "*n N"] | None = None,
        taken: Sequence[Int[np.ndarray, " _"]] | None = None,
        excluding: bool = False,
        floor: Float[np.ndarray, " n"] | None = None,
    ) -> tuple[Int[np.ndarray, "n k"], Float[np.ndarray, "n k"], Float[np.ndarray, " n"]]:
        """The best k items for each prompt with their scores, and the bounds of what was not found, batch by batch.

        `taken`, `floor` and an `allowed` that has rows are each prompt's own; `excluding` leaves out what was taken.
        """
        items = np.empty((len(prompts), k), np.int64)
        scores = np.empty((len(prompts), k), np.float32)
        bound = np.full(len(prompts), np.inf, np.float32)
        for some in self._batches(prompts):
            read = self._pad([prompts[number] for number in some])
            before = None if taken is None else self._pad([taken[number] for number in some])
            mask = allowed if allowed is None or allowed.ndim == 1 else allowed[some]
            subset = None if mask is None else torch.tensor(mask, device=self.device)
            least = None if floor is None else torch.tensor(floor[some], device=self.device)
            found = search(read, Limits(before if excluding else None, subset, before, least))
            items[some], scores[some] = found.items.cpu().numpy(), found.scores.cpu().numpy()
            if found.bound is not None:
                bound[some] = found.bound.cpu().numpy()
        return items, scores, bound

    def _language(self) -> LanguageBackbone:
        if not isinstance(self.backbone, LanguageBackbone):
            raise ConfigError(
                f"recommender: the backbone '{self.backbone.kind}' has semantic ids and no words; for texts and titles "
                "it must be a language model (model.backbone lcrec)"
            )
        return self.backbone

    def _batches(self, rows: Sequence[Sized]) -> Iterator[Int[np.ndarray, " b"]]:
        """Row numbers, batch by batch; neighbours in length share one, so that little is padded."""
        order = np.argsort([len(row) for row in rows], kind="stable")
        for start in range(0, len(rows), self.batch_size):
            yield order[start : start + self.batch_size]

    def _pad(self, rows: Sequence[Int[np.ndarray, " _"]]) -> Int[Tensor, "B T"]:
        lengths = np.array([len(row) for row in rows])
        return padded(np.concatenate(rows), lengths).to(self.device)


def vectors_of(model: Place) -> tuple[str, ...]:
    """The nouns whose item vectors a model reads."""
    return settings_of(Model(model, require(model, "model"))).vectors()


def settings_of(model: Model) -> BackboneConfig:
    """The settings of a model's backbone."""
    with whole(model.place, BACKBONE, "the settings of a backbone"):
        return from_record(BackboneConfig, model.backbone())  # type: ignore[type-abstract]


def _prompt_entries(language: LanguageBackbone, prompt: Prompt, texts: Sequence[str], answer: int) -> list[list[int]]:
    """Prompts in entries, as in training; texts are cut to leave room for an answer of so many entries."""
    head, tail = language.encode(prompt[:2])
    before, after = language.opening + head, tail + language.closing
    room = max(1, language.max_tokens - len(before) - len(after) - answer - len(language.ending))
    return [[*before, *entries[:room], *after] for entries in language.encode(texts)]


@dataclass(frozen=True)
class _InWords:
    """A language backbone as `decoding.beam.Decoder`, prompted in entries of its vocabulary instead of histories."""

    language: LanguageBackbone

    @property
    def level_starts(self) -> tuple[int, ...]:
        return self.language.level_starts

    def start(self, prompts: Int[Tensor, "B T"]) -> tuple[Any, Float[Tensor, "B 1 D"]]:
        return self.language.start_words(prompts)

    def step(
        self, state: Any, tokens: Int[Tensor, "B K"], parents: Int[Tensor, "B K"]
    ) -> tuple[Any, Float[Tensor, "B K D"]]:
        return self.language.step(state, tokens, parents)

    def logits(self, hidden: Float[Tensor, "B K D"], entries: slice) -> Float[Tensor, "B K V"]:
        return self.language.logits(hidden, entries)
