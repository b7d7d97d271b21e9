"""The sequences: samples in semantic-id tokens, one table a split.

Tables `train-*.parquet`, `valid-*`, `test-*`: `user`, `history` (items, oldest first), `target` (item), `tokens`
(the history's tokens, L an item, as `Codes.tokens` numbers them). Training rows are shuffled by seed once, so that
a stream read in stored order is already mixed. L levels.
"""

from dataclasses import dataclass

import pyarrow as pa

from unisid.artifacts.record import Record, require
from unisid.artifacts.store import Place
from unisid.artifacts.tables import read_table

COLUMNS = ("user", "history", "target", "tokens")


@dataclass(frozen=True)
class Sequences:
    """Read sequences."""

    place: Place
    record: Record

    @classmethod
    def read(cls, place: Place) -> "Sequences":
        """Raises ArtifactError where no complete sequences are."""
        return cls(place, require(place, "sequences"))

    def table(self, split: str) -> pa.Table:
        """A whole split in memory: 'train', 'valid' or 'test'."""
        return read_table(self.place, split)

    def num_samples(self, split: str) -> int:
        """How many samples a split has."""
        return int(self.record.counts[split])
