"""What training a tokenizer and a recommender together ends with: both halves, and the semantic ids between them.

The files are those of `codes` (`items-*.parquet`, the tokenizer's) and of `model` (weights, settings), which are made
from it: nothing but those two stages reads it. N items, L levels.
"""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisid.artifacts.codes import Codes
from unisid.artifacts.record import Record, require
from unisid.artifacts.store import Place


@dataclass(frozen=True)
class Joint:
    """Both halves, read."""

    place: Place
    record: Record

    @classmethod
    def read(cls, place: Place) -> "Joint":
        """Raises ArtifactError where nothing complete is."""
        return cls(place, require(place, "joint"))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of codes of every level [L]."""
        return Codes(self.place, self.record).sizes

    @functools.cached_property
    def codes(self) -> NDArray[np.int32]:
        """[N, L], unique."""
        return Codes(self.place, self.record).codes
