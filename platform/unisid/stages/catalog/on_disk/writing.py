"""The catalog's tables out of the database, a few rows at a time: the bytes that they have when made in memory."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from unisid.artifacts.catalog import FUTURE_WINDOW, INTERACTIONS_PER_GROUP, LEFT_OUT, interactions_table
from unisid.artifacts.store import Place
from unisid.artifacts.tables import regrouped, write_stream, write_tables
from unisid.config import Json
from unisid.ops.splits import future_window_split, leave_one_out_split, temporal_split_by
from unisid.raw.time_ranges import Unit
from unisid.stages import catalog as stage
from unisid.stages.catalog.on_disk.database import BATCH, Database
from unisid.stages.catalog.on_disk.numbering import last_before_cuts
from unisid.stages.catalog.policies import crowds, is_large, of_each_kind
from unisid.stages.catalog.protocols import window_of
from unisid.stages.catalog.reading import Rows
from unisid.stages.catalog.statistics import Tally, in_record, summed, tally
from unisid.stages.catalog.whole_users import of_whole_users


@dataclass(frozen=True)
class Users:
    """The interactions of some users, all of each: [E]."""

    place: int
    """Of the first of them among all."""
    rows: Rows
    rank: Int[np.ndarray, " E"]


def write_items(database: Database, out: Place, names: list[str]) -> dict[str, int]:
    """Write the items by number; returns what was odd about them.

    Args:
        names: the items' columns, of which c0, c1, ... hold the values.
    """
    columns = ", ".join(f"items.c{n}" for n in range(len(names)))
    query = f"select {columns} from item_numbers n join items on items.rowid = n.i order by n.rowid"
    pieces = (piece.rename_columns(names) for piece in database.tables(query, BATCH))
    odd = Counter[str]()

    def written() -> Iterator[pa.Table]:
        for piece in regrouped(pieces, stage.ITEMS_PER_FILE):
            odd.update(stage.odd_in(piece))
            yield stage.as_written(piece)

    kept = write_tables(out, "items", written())
    return dict(odd) | {"items_dropped": database.count("items") - kept}


def write_left_out(database: Database, out: Place) -> None:
    """Write the ids of the items without a number, by id, and why: the first reason that holds."""
    why = "case when held then 'held out' when ruled then 'title' when not met then 'unmet' else 'filtered' end"
    query = f"select item_id, {why} why from states where not numbered order by item_id"
    schema = pa.schema([("item_id", pa.string()), ("why", pa.string())])
    pieces = (piece.cast(schema) for piece in database.tables(query, BATCH))
    write_tables(out, LEFT_OUT, regrouped(pieces, stage.ITEMS_PER_FILE))


def write_users(database: Database, out: Place, kind: pa.DataType) -> dict[str, int]:
    """Write the users by number; returns those that look like none (`policies.crowds`)."""
    users, interactions = database.one("select count(*), sum(n)::bigint from user_numbers")
    [(most, large)] = database.rows("select rowid, n from user_numbers order by n desc, rowid limit 1")
    most = most if is_large(large, interactions, users) else -1
    shared: dict[str, int] = {}

    def written() -> Iterator[pa.Table]:
        start = 0
        for piece in database.tables("select user_id, n from user_numbers", BATCH):
            ids = piece["user_id"].cast(kind)
            place = most - start if start <= most < start + len(ids) else -1
            shared.update(crowds(piece["n"].to_numpy(), ids, place))
            start += len(ids)
            yield pa.table({"user_id": ids})

    write_stream(out, "users", 0, written())
    return shared


def write_interactions(database: Database, config: stage.Config, out: Place, unit: Any, counts: Json) -> Tally:
    """Write the interactions in their order, split, with their weights, which are counted; returns their tally."""
    first, last = database.one("select min(time), max(time) from ordered")
    ends = last_before_cuts(database) if config.protocol == "temporal" else []
    window = window_of(config.future_days, first, last, cast(Unit, unit)) if config.protocol == FUTURE_WINDOW else 0
    items, tallies = database.count("item_numbers"), list[Tally]()
    each = np.array([config.event_weights.get(name, 0.0) for name in counts.get("events", {})])
    found = np.zeros(len(each), np.int64)

    def split_of(users: Users) -> Int[np.ndarray, " E"]:
        if config.protocol == FUTURE_WINDOW:
            return future_window_split(users.rows.timestamp, window, last)
        if config.protocol == "temporal":
            return temporal_split_by(users.rows.user, users.rows.timestamp, users.place, ends)
        return leave_one_out_split(users.rows.user)

    def written() -> Iterator[pa.Table]:
        for users in by_user(database, unit):
            rows, split, weight = users.rows, split_of(users), None
            tallies.append(tally(rows, split, users.rank, items, config.protocol == FUTURE_WINDOW))
            if config.event_weights and rows.kind is not None:
                weight = each[rows.kind]
                np.add(found, np.bincount(rows.kind, minlength=len(each)), out=found)
            yield interactions_table(rows.user, rows.item, rows.timestamp, split, weight)

    write_stream(out, "interactions", 0, written(), rows_per_group=INTERACTIONS_PER_GROUP)
    if config.event_weights:
        counts["weights"] = of_each_kind(counts["events"], config.event_weights, found.tolist())
    return summed(tallies)


def by_user(database: Database, unit: Any) -> Iterator[Users]:
    """The ordered interactions, of whole users; a table's worth at a time, or a user's where one has more."""
    place = 0
    for found in of_whole_users(database.tables('select "user", item, time, rank, kind from ordered', BATCH)):
        yield _users(found, place, unit)
        place += found.num_rows


def _users(table: pa.Table, place: int, unit: Any) -> Users:
    user, item, time, rank, kind = (table[name].to_numpy() for name in ("user", "item", "time", "rank", "kind"))
    return Users(place, Rows(user, item, time, unit, kind), rank)


def statistics(database: Database, found: Tally, unit: Any, shared: dict[str, int]) -> Json:
    """The statistics of the catalog."""
    return in_record(found, database.count("item_numbers"), database.count("user_numbers"), unit, shared)
