"""The recommender that serves: histories of items in, ranked items out.

n histories, k items each, L levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.codes import Codes
from unisid.artifacts.model import Model
from unisid.artifacts.store import Place
from unisid.backbones import Backbone, BackboneConfig
from unisid.config import from_record
from unisid.errors import DataError
from unisid.ops import beam, trie
from unisid.ops.trie import Trie
from unisid.training.feed import padded

BEAM = 50
"""Beams where the caller names none."""


@dataclass(frozen=True)
class Recommender:
    """A trained backbone, the trie of the index it speaks, and how much of a history it was taught to read."""

    backbone: Backbone
    trie: Trie
    tokens: NDArray[np.int64]
    """Every item's tokens [N, L]."""
    history_length: int
    device: torch.device
    batch_size: int = 128

    @classmethod
    def load(cls, model: Place, codes: Place, catalog: Place, device: torch.device | None = None) -> "Recommender":
        """Raises ArtifactError where the model was trained on another index, or an artifact is incomplete."""
        index = Codes.read(codes)
        trained = Model.read(model, index)
        device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        settings: BackboneConfig = from_record(BackboneConfig, trained.backbone())  # type: ignore[type-abstract]
        backbone = settings.build(index.sizes)
        backbone.load_state_dict(trained.weights())
        return cls(
            backbone.to(device).eval(),
            trie.build(torch.from_numpy(index.codes.copy())).to(device),
            index.tokens(np.arange(len(index.codes))),
            Catalog.read(catalog).history_length,
            device,
        )

    @torch.no_grad()
    def rank(
        self, histories: Sequence[NDArray[Any]], k: int, exclude_history: bool = True, beam_width: int | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The best k items [n, k] for each history of item numbers, oldest first, and their log-probabilities [n, k].

        Only the last `history_length` items of a history are read; `exclude_history` bars all of them. Where fewer
        than k items are left, item -1 of score -inf fills up.

        Raises:
            ConfigError: for a beam smaller than k, or k larger than the catalogue.
            DataError: for an empty history or an unknown item.
        """
        width = beam_width if beam_width is not None else max(k, BEAM)
        beam.check(k, width, len(self.tokens))
        rows = [np.asarray(history, np.int64) for history in histories]
        self._check(rows)
        items = np.empty((len(rows), k), np.int64)
        scores = np.empty((len(rows), k), np.float32)
        # Neighbours in length share a batch, so that little is padded.
        order = np.argsort([min(len(row), self.history_length) for row in rows], kind="stable")
        for start in range(0, len(rows), self.batch_size):
            some = order[start : start + self.batch_size]
            chosen = [rows[number] for number in some]
            prompts = self._pad([self.tokens[row[-self.history_length :]].reshape(-1) for row in chosen])
            excluded = self._pad(chosen) if exclude_history else None
            found = beam.search(self.backbone, prompts, self.trie, k=k, beam=width, excluded=excluded)
            items[some], scores[some] = found.items.cpu().numpy(), found.scores.cpu().numpy()
        return items, scores

    def _pad(self, rows: list[NDArray[Any]]) -> torch.Tensor:
        lengths = np.array([len(row) for row in rows])
        return padded(np.concatenate(rows), np.cumsum(lengths) - lengths, lengths).to(self.device)

    def _check(self, rows: list[NDArray[Any]]) -> None:
        for number, row in enumerate(rows):
            if not len(row):
                raise DataError(f"history {number}: is empty; a history needs at least one item")
            if row.min() < 0 or row.max() >= len(self.tokens):
                wrong = row[(row < 0) | (row >= len(self.tokens))][0]
                raise DataError(f"history {number}: no item {wrong}; items are numbered 0 to {len(self.tokens) - 1}")
