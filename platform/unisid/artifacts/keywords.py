"""The keywords: for every token of an index, words that its items have in common.

Table `tokens-*.parquet`, a row a token that an item has, by level and code: `token`, `level`, `code`, `items` (how many
have it), `keywords` (by score), `coverage` (the mean share of those items that have a keyword) and
`description`, a text about all of them. M tokens.
"""

import functools
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unisid.artifacts.reading import damaged
from unisid.artifacts.record import Record, require
from unisid.artifacts.store import Place
from unisid.artifacts.tables import read_integers, read_reals, read_table, read_texts, table_names

FAMILY = "tokens"
LOW = 0.1
"""Coverage below which a token's items have too little in common for its keywords to say anything."""
SCHEMA = pa.schema(
    {
        "token": pa.string(),
        "level": pa.int32(),
        "code": pa.int32(),
        "items": pa.int64(),
        "keywords": pa.list_(pa.string()),
        "coverage": pa.float64(),
        "description": pa.string(),
    }
)


@dataclass(frozen=True)
class Keywords:
    """Read keywords. Columns load on first access."""

    place: Place
    record: Record

    @classmethod
    def read(cls, place: Place) -> "Keywords":
        """Raises ArtifactError where no complete keywords are."""
        return cls(place, require(place, "keywords"))

    @functools.cached_property
    def tokens(self) -> pa.Array:
        """The tokens as they are written [M]."""
        return read_texts(self.place, FAMILY, "token")

    @functools.cached_property
    def level(self) -> NDArray[np.int32]:
        """[M]."""
        return read_integers(self.place, FAMILY, "level", np.int32)

    @functools.cached_property
    def code(self) -> NDArray[np.int32]:
        """[M]."""
        return read_integers(self.place, FAMILY, "code", np.int32)

    @functools.cached_property
    def coverage(self) -> NDArray[np.float64]:
        """[M]."""
        return read_reals(self.place, FAMILY, "coverage")

    @functools.cached_property
    def descriptions(self) -> pa.Array:
        """[M], empty where the items share nothing."""
        return read_texts(self.place, FAMILY, "description")

    @functools.cached_property
    def words(self) -> list[list[str]]:
        """The keywords of every token [M]."""
        found = read_table(self.place, FAMILY, ["keywords"])["keywords"].combine_chunks()
        if found.type != SCHEMA.field("keywords").type or found.null_count:
            names = table_names(self.place, FAMILY)
            raise damaged(self.place, names[0], f"column 'keywords' is of {found.type}, must be lists of texts")
        words: list[list[str]] = found.to_pylist()
        return words
