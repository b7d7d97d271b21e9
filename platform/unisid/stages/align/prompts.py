"""Prompts for alignment: the training interactions that have a history, in an order drawn by seed.

A prompt is identified by the row of its interaction, so that its history, its target and the items that its user took
before are that interaction's own even where others have the same history. B prompts, E items.
"""

import numpy as np
from jaxtyping import Int
from torch import Tensor

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.sequences import Sequences
from unisid.backbones import Batch
from unisid.ops.padding import padded
from unisid.stages.sequences import training_rows
from unisid.training.feed import Block


class TrainingRows:
    """Training samples by the row of their target in the catalogue."""

    def __init__(self, catalog: Catalog, sequences: Sequences, seed: int) -> None:
        self.catalog, self.seed = catalog, seed
        self.rows = training_rows(catalog, bool(sequences.record.config.get("sliding_window", True)))
        self._pass, self._order = -1, self.rows[:0]

    def __len__(self) -> int:
        return len(self.rows)

    def step(self, number: int, size: int) -> Int[np.ndarray, " B"]:
        """The rows of a step of so many prompts: none twice in a pass, and another order in every pass."""
        passed, place = divmod(number, len(self.rows) // size)
        if passed != self._pass:
            self._pass, self._order = passed, np.random.default_rng((self.seed, passed)).permutation(self.rows)
        return self._order[place * size : (place + 1) * size]

    def batch(self, rows: Int[np.ndarray, " B"]) -> Batch:
        """Histories and targets of some rows."""
        items, lengths = self.catalog.history(rows)
        ends = np.cumsum(lengths)
        block = Block(items, ends - lengths, lengths, self.catalog.item[rows])
        return block.batch(np.arange(len(rows)))

    def past(self, rows: Int[np.ndarray, " B"]) -> Int[Tensor, "B E"]:
        """All that the users of some rows took before them; `PAD` fills short rows."""
        items, lengths = self.catalog.past(rows)
        return padded(items, lengths)
