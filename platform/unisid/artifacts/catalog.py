"""The catalog: numbered items with their text, and every user's interactions in time order, split.

Interactions lie user by user, oldest first. The label of an interaction says where it may be seen: `TRAIN` rows
are what everything before the recommender learns from; and every row that is not its user's first is one sample,
of its label's split, with that item as the target and the rows before it as the history. N items, U users,
E interactions.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unisid.artifacts.reading import damaged
from unisid.artifacts.record import Record, require
from unisid.artifacts.record_json import RECORD
from unisid.artifacts.store import Place
from unisid.artifacts.tables import (
    integers,
    read_groups,
    read_reals,
    read_table,
    read_texts,
    reals,
    table_names,
    write_table,
)
from unisid.ops.distinct import sorted_unique
from unisid.ops.splits import known_until

TRAIN, VALID, TEST = 0, 1, 2
SPLITS = ("train", "valid", "test")
SAMPLES_SEED = 42
"""The seed by which some of a split's samples are drawn: one for all, so that what ranks them ranks the same."""
INTERACTIONS_PER_GROUP = 1 << 20
FUTURE_WINDOW = "future-window"
"""The protocol under which the targets of a window are predicted from what is known at its beginning."""
LEFT_OUT, READMITTED = "left_out", "readmitted"
"""The table of items without a number: `item_id` and `why`; and of items that have one now and had none in the base:
`item_id`."""
WHY_LEFT_OUT = {
    "title": "it is dropped for its title (catalog.title_rules)",
    "unmet": "no interaction names it (catalog.keep_cold_items True keeps such items)",
    "filtered": "it lost all its interactions to other rules, such as catalog.k_core",
    "held out": "it is held out (catalog.cold_share)",
}
"""Why an item has no number -> in words, with the setting that decides."""


@dataclass(frozen=True)
class Catalog:
    """A read catalog. Columns load on first access."""

    place: Place
    record: Record

    @classmethod
    def read(cls, place: Place) -> "Catalog":
        """Raises ArtifactError where no complete catalog is."""
        return cls(place, require(place, "catalog"))

    def with_columns(self, **columns: Any) -> "Catalog":
        """The same catalog with some of its columns, by their names here, which were read before."""
        found = Catalog(self.place, self.record)
        found.__dict__.update(columns)  # where cached properties lie
        return found

    @property
    def num_items(self) -> int:
        """N."""
        return self.record.count("items")

    @property
    def num_users(self) -> int:
        """U."""
        return self.record.count("users")

    @property
    def history_length(self) -> int:
        """How many of the last items a sample's history keeps."""
        return self.record.setting("history_length")

    @functools.cached_property
    def item_ids(self) -> pa.Array:
        """The shop's names of the items [N], by item number."""
        return self._texts("items", "item_id", self.num_items)

    def left_out(self) -> dict[str, str]:
        """Id -> why, of the items of the raw data that have no number: a key of `WHY_LEFT_OUT`.

        Empty for a catalog that was made before this was kept. Not cached: a large shop may leave out many.
        """
        if not table_names(self.place, LEFT_OUT):
            return {}
        found = read_table(self.place, LEFT_OUT, ["item_id", "why"])
        return dict(zip(found["item_id"].to_pylist(), found["why"].to_pylist(), strict=True))

    def readmitted(self) -> frozenset[str]:
        """Ids of the items that its base left out; empty for a catalog that was made before this was kept."""
        if not table_names(self.place, READMITTED):
            return frozenset()
        return frozenset(read_table(self.place, READMITTED, ["item_id"])["item_id"].to_pylist())

    @functools.cached_property
    def titles(self) -> pa.Array:
        """The items' titles [N]."""
        return self._texts("items", "title", self.num_items)

    @functools.cached_property
    def user_ids(self) -> pa.Array:
        """The shop's names of the users [U], by user number."""
        return self._texts("users", "user_id", self.num_users)

    @functools.cached_property
    def user(self) -> NDArray[np.int32]:
        """[E], ascending."""
        return self._interactions("user", np.int32, self.num_users)

    @functools.cached_property
    def item(self) -> NDArray[np.int32]:
        """[E]."""
        return self._interactions("item", np.int32, self.num_items)

    @functools.cached_property
    def timestamp(self) -> NDArray[np.int64]:
        """[E], since 1970 in the unit that the record counts as `time_unit` (seconds where it counts none: an older
        catalog); the position where the source had no time."""
        return self._interactions("timestamp", np.int64)

    @functools.cached_property
    def split(self) -> NDArray[np.int8]:
        """[E]: TRAIN, VALID or TEST."""
        return self._interactions("split", np.int8, len(SPLITS))

    @property
    def weighs(self) -> bool:
        """Whether interactions of some kinds count more than others."""
        return bool(self.record.counts.get("weights"))

    @functools.cached_property
    def weight(self) -> NDArray[np.float64] | None:
        """[E]: how much an interaction of its kind counts; None where all count alike."""
        return self._weights(read_reals(self.place, "interactions", "weight")) if self.weighs else None

    @functools.cached_property
    def offsets(self) -> NDArray[np.int64]:
        """[U + 1]: user u's interactions are rows offsets[u] to offsets[u + 1]."""
        return np.searchsorted(self.user, np.arange(self.num_users + 1))

    def interactions(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Columns of the interactions, of `user`, `item`, `timestamp` and `weight`, as they are here, a row group at a
        time."""
        reads: dict[str, Callable[[pa.ChunkedArray], NDArray[Any]]] = {
            "user": lambda found: self._within("user", found, np.int32, self.num_users),
            "item": lambda found: self._within("item", found, np.int32, self.num_items),
            "timestamp": lambda found: integers(self.place, "interactions", "timestamp", found, np.int64),
            "weight": lambda found: self._weights(reals(self.place, "interactions", "weight", found)),
        }
        for table in read_groups(self.place, "interactions", columns):
            yield pa.table({name: reads[name](table[name]) for name in columns})

    def training_edges(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The distinct (user, item) pairs that may be learned from, by user, then item."""
        return self.edges(self.split == TRAIN)

    def training_weights(self) -> NDArray[np.float64] | None:
        """The weights of `training_edges`."""
        return self.edge_weights(self.split == TRAIN)

    def edges(self, rows: NDArray[np.bool_] | slice) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The distinct (user, item) pairs of some interactions, by user, then item."""
        keys = sorted_unique(self._pairs(rows))
        return (keys // self.num_items).astype(np.int32), (keys % self.num_items).astype(np.int32)

    def edge_weights(self, rows: NDArray[np.bool_] | slice) -> NDArray[np.float64] | None:
        """The weights of `edges`, each that of the pair's interaction that counts most; None where all count alike."""
        if self.weight is None:
            return None
        keys, place = np.unique(self._pairs(rows), return_inverse=True)
        most = np.zeros(len(keys))
        np.maximum.at(most, place, self.weight[rows])
        return most

    def _pairs(self, rows: NDArray[np.bool_] | slice) -> NDArray[np.int64]:
        return self.user[rows].astype(np.int64) * self.num_items + self.item[rows]

    def samples(self, split: int, at_most: int = 0) -> NDArray[np.int64]:
        """The rows [S] that are targets of a split: those whose history has at least one row.

        Args:
            at_most: draw so many by a fixed seed, in order; 0 for all. A smaller draw lies within a larger.
        """
        found = np.flatnonzero(self.split == split)
        found = found[self.past_lengths(found) > 0]
        if not 0 < at_most < len(found):
            return found
        return np.sort(np.random.default_rng(SAMPLES_SEED).permutation(found)[:at_most])

    def history(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The histories of samples: the last `history_length` items before each, joined, oldest first; lengths [S]."""
        return self._before(rows, np.maximum(self._until(rows) - self.history_length, self.offsets[self.user[rows]]))

    def past_lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """How much the users took before samples [S]."""
        return self._until(rows) - self.offsets[self.user[rows]]

    def _until(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the histories of rows end: at the rows; under a future window, where their windows begin."""
        return rows if self._begins is None else self._begins[rows]

    @functools.cached_property
    def _begins(self) -> NDArray[np.int64] | None:
        """Where every row's history ends [E], under a future window."""
        is_window = self.record.config.get("protocol") == FUTURE_WINDOW
        return known_until(self.user, self.split) if is_window else None

    def past(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """All that the users took before samples, joined, oldest first, [sum p_s], and lengths [S]."""
        return self._before(rows, self.offsets[self.user[rows]])

    def _before(
        self, rows: NDArray[np.int64], starts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        lengths = self._until(rows) - starts
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return self.item[np.repeat(starts, lengths) + within], lengths

    def _texts(self, family: str, column: str, rows: int) -> pa.Array:
        found = read_texts(self.place, family, column)
        if len(found) != rows:
            raise damaged(self.place, RECORD, f"says {rows:,} {family}, the table '{family}' has {len(found):,}")
        return found

    def _interactions(self, column: str, dtype: Any, size: int | None = None) -> NDArray[Any]:
        found = read_table(self.place, "interactions", [column])[column]
        if size is None:
            return integers(self.place, "interactions", column, found, dtype)
        return self._within(column, found, dtype, size)

    def _within(self, column: str, read: pa.ChunkedArray, dtype: Any, size: int) -> NDArray[Any]:
        """A column of the interactions, or some of it, of numbers below a size."""
        found = integers(self.place, "interactions", column, read, dtype)
        if len(found) and (found.min() < 0 or found.max() >= size):
            raise damaged(
                self.place,
                table_names(self.place, "interactions")[0],
                f"column '{column}' reaches from {found.min()} to {found.max()}, must lie in 0 to {size - 1}",
            )
        return found

    def _weights(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        if not (np.isfinite(found) & (found > 0)).all():
            name = table_names(self.place, "interactions")[0]
            raise damaged(self.place, name, "column 'weight' holds numbers that are not above 0 and finite")
        return found


def write_interactions(
    place: Place,
    user: NDArray[Any],
    item: NDArray[Any],
    timestamp: NDArray[Any],
    split: NDArray[Any],
    weight: NDArray[Any] | None = None,
) -> None:
    """Write interactions that are already sorted by user and time; with weights where their kinds have some."""
    table = interactions_table(user, item, timestamp, split, weight)
    write_table(place, "interactions", 0, table, rows_per_group=INTERACTIONS_PER_GROUP)


def interactions_table(
    user: NDArray[Any],
    item: NDArray[Any],
    timestamp: NDArray[Any],
    split: NDArray[Any],
    weight: NDArray[Any] | None = None,
) -> pa.Table:
    """Interactions as they are written."""
    columns = {
        "user": pa.array(user, pa.int32()),
        "item": pa.array(item, pa.int32()),
        "timestamp": pa.array(timestamp, pa.int64()),
        "split": pa.array(split, pa.int8()),
    }
    if weight is not None:
        columns["weight"] = pa.array(weight, pa.float64())
    return pa.table(columns)
