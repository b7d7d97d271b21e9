"""The sequences: samples of histories and targets, one table a split, and the training sequence of every user.

Tables `train-*.parquet`, `valid-*`, `test-*`: `user`, `history` (items, oldest first), `target` (item). Table
`users-*.parquet`: `user`, `history` (all training items of the user, oldest first), for users of at least two.
Training rows are shuffled by seed once, so that a stream read in stored order is already mixed. Semantic ids are
looked up where they are needed: nothing here depends on the codes.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unisid.artifacts.catalog import SPLITS, Catalog
from unisid.artifacts.record import Record, require
from unisid.artifacts.store import Place
from unisid.artifacts.tables import read_table
from unisid.errors import ArtifactError

COLUMNS = ("user", "history", "target")
USERS = "users"
"""The table of whole training sequences, a row a user."""


@dataclass(frozen=True)
class Sequences:
    """Read sequences."""

    place: Place
    record: Record

    @classmethod
    def read(cls, place: Place) -> "Sequences":
        """Raises ArtifactError where no complete sequences are."""
        return cls(place, require(place, "sequences"))

    def table(self, split: str, columns: list[str] | None = None) -> pa.Table:
        """Some columns (by default all) of a whole split in memory: 'train', 'valid' or 'test'."""
        self._refuse_older(split)
        return read_table(self.place, split, columns or COLUMNS)

    def num_samples(self, split: str) -> int:
        """How many rows a table has: the samples of a split, `users`, or `windows` that users' sequences make."""
        self._refuse_older(split)
        return self.record.count(split)

    def _refuse_older(self, table: str) -> None:
        """Raises ArtifactError for a table that sequences lack which were made of codes and held tokens."""
        if "codes" in self.record.inputs and table not in self.record.counts:
            raise ArtifactError(
                f"{self.place}: has no table '{table}', for it was written when sequences held tokens; make it anew: "
                f"unisid drop {self.record.address}, then run its recipe"
            )

    def rows(self, catalog: Catalog, split: int) -> NDArray[np.int64]:
        """The interactions that are targets of VALID or TEST, in the order in which their samples are stored.

        Raises:
            ArtifactError: the samples are not this catalog's.
        """
        rows, stored = catalog.samples(split), self.table(SPLITS[split], ["user", "target"])
        same_users = np.array_equal(stored["user"], catalog.user[rows])
        if not (same_users and np.array_equal(stored["target"], catalog.item[rows])):
            raise ArtifactError(
                f"{self.place}: its {stored.num_rows} {SPLITS[split]} samples are not the {len(rows)} of the catalog "
                f"{catalog.place}; both must come from one recipe"
            )
        return rows
