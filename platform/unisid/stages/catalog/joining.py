"""A catalog's interactions and a day's, joined and written: some whole users of the catalog in memory at a time.

The catalog's lie by user already, so a pass over them takes in the day's, of which there are few. In memory are the
day, the users of a row group or two of the catalog, and a few numbers for every user and item. D interactions of the
day, E of some users, N items, U users.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int, Int8

from unisid.artifacts.catalog import INTERACTIONS_PER_GROUP, Catalog, interactions_table
from unisid.artifacts.store import Place
from unisid.artifacts.tables import write_stream
from unisid.config import Json
from unisid.ops.splits import newest_split
from unisid.raw.time_ranges import Unit, rescaled
from unisid.stages import catalog as stage
from unisid.stages.catalog.numbering import Ties, time_order
from unisid.stages.catalog.policies import heaviest, ranks, repeats
from unisid.stages.catalog.reading import Rows
from unisid.stages.catalog.statistics import Tally, in_record, shared_ids, summed, tally
from unisid.stages.catalog.whole_users import of_whole_users

NEVER = np.iinfo(np.int64).min
"""A time before all others."""


@dataclass(frozen=True)
class Day:
    """The interactions of a day by number of user and item, in the order in which they came."""

    rows: Rows
    split: Int8[np.ndarray, " D"]
    newest: Bool[np.ndarray, " D"]
    """Which come after all that the catalog has."""
    weight: Float[np.ndarray, " D"] | None
    by_user: Int[np.ndarray, " D"]
    """Their places, by user."""

    @classmethod
    def of(
        cls,
        config: stage.Config,
        base: Catalog,
        rows: Rows,
        unit: Unit,
        weight: Float[np.ndarray, " D"] | None,
        ties: Ties | None,
    ) -> "Day":
        """Put them behind the catalog's.

        Args:
            rows: in the unit that all interactions are to have.
            unit: of the catalog's times.
        """
        assert rows.unit != "position"
        last, before = NEVER, np.zeros(base.num_users + 1, bool)
        for table in base.interactions(("user", "timestamp")):
            last = max(last, int(rescaled(table["timestamp"].to_numpy(), unit, rows.unit).max(initial=NEVER)))
            before[table["user"].to_numpy()] = True
        newest = rows.timestamp > last
        old = before[np.minimum(rows.user, base.num_users)]
        split = split_of(config, rows, newest, old, ties)
        return cls(rows, split, newest, weight, np.argsort(rows.user, kind="stable"))


def split_of(
    config: stage.Config, rows: Rows, newest: Bool[np.ndarray, " D"], old: Bool[np.ndarray, " D"], ties: Ties | None
) -> Int8[np.ndarray, " D"]:
    """The split of a day's interactions: that which `newest_split` gives them among all.

    It asks of all others only whether a user has some, which one row each says here.

    Args:
        old: whether the user of each has earlier interactions.
    """
    known = np.unique(rows.user[old])
    drop = config.duplicate_rows == "drop"
    again = repeats(rows.user, rows.item, rows.timestamp) if drop else np.zeros(len(rows), bool)
    kept = np.flatnonzero(~again)
    user = np.append(known, rows.user[kept])
    item = np.append(np.zeros_like(known), rows.item[kept])
    time = np.append(np.full(len(known), NEVER), rows.timestamp[kept])
    new = np.append(np.zeros(len(known), bool), newest[kept])
    order = time_order(user, item, time, ties)
    label = np.empty(len(order), np.int8)
    label[order] = newest_split(user[order], time[order], new[order], config.valid_share, config.test_share)
    found = np.zeros(len(rows), np.int8)
    found[kept] = label[len(known) :]
    return found


@dataclass
class Joining:
    """Both as one, and what is counted on the way."""

    config: stage.Config
    day: Day
    unit: Unit
    """Of the catalog's times."""
    ties: Ties | None
    rank: Int[np.ndarray, " N"]
    """Of every item among all ids."""
    each: Int[np.ndarray, " U"]
    """How many interactions of each user have been written."""
    repeated: int = 0
    added: int = 0
    late: int = 0
    tallies: list[Tally] = field(default_factory=list)

    def tables(self, users: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """The tables to write, of those of whole users of the catalog."""
        at, owners = 0, self.day.rows.user[self.day.by_user]
        for table in users:
            stop = int(np.searchsorted(owners, table["user"][-1].as_py(), "right"))
            yield self._joined(table, self.day.by_user[at:stop])
            at = stop
        if at < len(owners):
            empty = pa.table({name: pa.array([], pa.int64()) for name in ("user", "item", "timestamp")})
            yield self._joined(empty.append_column("weight", pa.array([], pa.float64())), self.day.by_user[at:])

    def _joined(self, table: pa.Table, places: Int[np.ndarray, " n"]) -> pa.Table:
        """Some users' interactions of the catalog and of the day, in order."""
        own = self.day.rows.where(places)
        assert own.unit != "position"
        before = table.num_rows
        user, item, time = (table[name].to_numpy() for name in ("user", "item", "timestamp"))
        user, item = np.append(user, own.user).astype(np.int64), np.append(item, own.item).astype(np.int64)
        rows = Rows(user, item, np.append(rescaled(time, self.unit, own.unit), own.timestamp), own.unit)
        new = np.arange(len(rows)) >= before
        newest = np.append(np.zeros(before, bool), self.day.newest[places])
        split = np.append(np.zeros(before, np.int8), self.day.split[places])
        weight = None
        if self.day.weight is not None:
            weight = np.append(table["weight"].to_numpy(), self.day.weight[places])
        again = repeats(rows.user, rows.item, rows.timestamp) & new
        order = time_order(rows.user, rows.item, rows.timestamp, self.ties)
        if self.config.duplicate_rows == "drop":
            if weight is not None:  # the row that stays counts as the one that weighs most
                weight = weight[heaviest(rows.user, rows.item, rows.timestamp, weight)]
            order = order[~again[order]]
        rows, split = rows.where(order), split[order]
        self.repeated += int(again.sum())
        self.added += int(new[order].sum())
        self.late += int((new & ~newest)[order].sum())
        self.tallies.append(tally(rows, split, self.rank[rows.item], len(self.rank)))
        start, stop = int(rows.user[0]), int(rows.user[-1]) + 1
        self.each[start:stop] += np.bincount(rows.user - start, minlength=stop - start)
        return interactions_table(
            rows.user, rows.item, rows.timestamp, split, None if weight is None else weight[order]
        )


def write_joined(
    out: Place,
    config: stage.Config,
    base: Catalog,
    unit: Unit,
    rows: Rows,
    weight: Float[np.ndarray, " D"] | None,
    ids: tuple[pa.Array, pa.Array],
) -> Json:
    """Write all interactions, by user and time; returns their statistics and how many are new (`added`), `late` among
    these, and `repeated`.

    Args:
        unit: of the catalog's times.
        rows: of the day, in the unit that all are to have.
        weight: None where all interactions count alike.
        ids: of all items and of all users.
    """
    items, users = ids
    ties = Ties.of(users, items, config.seed) if config.ties == "seed" else None
    day = Day.of(config, base, rows, unit, weight, ties)
    joining = Joining(config, day, unit, ties, ranks(items), np.zeros(len(users), np.int64))
    columns = ("user", "item", "timestamp") + (("weight",) if weight is not None else ())
    tables = joining.tables(of_whole_users(base.interactions(columns)))
    write_stream(out, "interactions", 0, tables, rows_per_group=INTERACTIONS_PER_GROUP)
    assert rows.unit != "position"
    shared = shared_ids(joining.each, users)
    counts = in_record(summed(joining.tallies), len(items), len(users), rows.unit, shared)
    return counts | {"extension": {"interactions": joining.added, "late": joining.late, "repeated": joining.repeated}}
