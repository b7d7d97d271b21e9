"""The embeddings: every item's token states (float16, ragged) and pooled text vector (float32).

Shards `states-*.arrow`, rows by item number: `pooled` [D]; and, unless the recipe keeps only pooled vectors,
`states` [n_i, D] with n_i real tokens; of a sample of items where the recipe wants no more (`states_of`), and then no
rows of the others. N items, D width of the encoder.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisid.artifacts.reading import damaged
from unisid.artifacts.record import Record, require
from unisid.artifacts.record_json import RECORD
from unisid.artifacts.shards import Shards
from unisid.artifacts.store import Place
from unisid.config import Json

FAMILY, DTYPE = "states", "dtype"
"""The files' name; and the record's count of the type of numbers that they were computed in, where a device decided."""


def dtype_of(counts: Json) -> str | None:
    """The type of numbers that the devices decided on; None where it was set, or they decided differently."""
    found = counts.get(DTYPE)
    return found if isinstance(found, str) and "," not in found else None


@dataclass(frozen=True)
class Embeddings:
    """Read embeddings, memory-mapped."""

    place: Place
    record: Record

    @classmethod
    def read(cls, place: Place) -> "Embeddings":
        """Raises ArtifactError where no complete embeddings are."""
        return cls(place, require(place, "embeddings"))

    @property
    def shards(self) -> Shards:
        """All columns, by item number."""
        return Shards(self.place, FAMILY)

    @property
    def width(self) -> int:
        """D."""
        return self.record.count("width")

    @property
    def has_states(self) -> bool:
        """Whether token states were kept beside the pooled vectors."""
        has_states = self.record.counts.get("has_states")
        if not isinstance(has_states, bool):
            raise damaged(self.place, RECORD, f"counts.has_states is {has_states!r}, must be true or false")
        return has_states

    @property
    def states_of(self) -> int:
        """Of about how many items token states were kept; 0: of all. `ops.seeded.sampled` says of which."""
        found = self.record.config.get("states_of", 0)
        if not isinstance(found, int):
            raise damaged(self.place, RECORD, f"config.states_of is {found!r}, must be a whole number")
        return found

    def pooled(self, rows: NDArray[Any] | None = None) -> NDArray[np.float32]:
        """[n, D]."""
        return self.shards.read_vectors("pooled", self.width, rows)
