"""Which interactions are kept, as `stages.catalog` has it in memory: tables `items`, `users`, `interactions`, `core`.

Users and items are the numbers of their rows in `users` and `items` (columns u and i; i is -1 where the items lack it);
`place` is an interaction's row in `given`.
"""

from typing import Any

import pyarrow as pa

from unisid.config import Json
from unisid.datasets import Dataset
from unisid.raw.time_ranges import EARLIEST, LATEST, PER_SECOND, UNITS, USUAL, Unit
from unisid.stages import catalog as stage
from unisid.stages.catalog import keeping
from unisid.stages.catalog.days import FOREVER, YEAR_ZERO, end_of, iso_day, start_of, year_earlier
from unisid.stages.catalog.on_disk.database import Database
from unisid.stages.catalog.policies import check_kinds, impossible_time, rated_enough, wanted_events
from unisid.stages.catalog.reading import SHOWN, named, repeated_ids, unknown_items


def text(value: str) -> str:
    """A text as queries have it."""
    return "'" + value.replace("'", "''") + "'"


def distinct(database: Database, refuse: bool) -> int:
    """Make `items`, in which each id of `all_items` occurs once, the first row of it; returns how many were too many.

    Raises DataError where that is more than none and `refuse` says so.
    """
    database.table("firsts", "select min(rowid) place from all_items group by c0")
    surplus = database.count("all_items") - database.count("firsts")
    if surplus and refuse:
        again = "select c0 from all_items anti join firsts on all_items.rowid = place order by all_items.rowid"
        raise repeated_ids(surplus, [name for (name,) in database.rows(f"{again} limit {SHOWN}")])
    database.table("items", "select all_items.* from all_items semi join firsts on all_items.rowid = place")
    database.run("drop table all_items")
    return surplus


def kinds(database: Database, config: stage.Config, table: pa.Table) -> dict[str, int]:
    """How many interactions there are of each kind, in the order in which kinds first occur; also as the table `kinds`.

    Raises DataError as `policies.wanted_events`.
    """
    database.table(
        "kinds", "select event, count(*) n from given where event is not null group by event order by min(rowid)"
    )
    if "event" not in table.column_names:
        wanted_events(table, config.events, config.event_weights)
        return {}
    counts = dict(database.rows("from kinds"))
    check_kinds(counts, config.events, config.event_weights)
    return counts


def usable(
    database: Database, dataset: Dataset, config: stage.Config, table: pa.Table
) -> tuple[str, dict[str, int], dict[str, int]]:
    """The condition for interactions of `given` (g) that can be used; how many were dropped for which reason, the first
    that holds; how many there are of each kind. Raises DataError as `policies.usable`."""
    odd, reasons = _impossible(database, dataset, table)
    counts = kinds(database, config, table)
    rated_enough(table, config.least_rating)
    chosen = f"event in ({', '.join(map(text, config.events))})" if counts and config.events else "true"
    reasons |= {"event": f"not {chosen}"}
    if config.least_rating is not None:
        reasons |= {"low_rating": "low = 1", "no_rating": "low = 2"}
    conditions = {"missing_time": "time is null", "outlying_time": odd} | reasons
    why = " ".join(f"when {condition} then {text(name)}" for name, condition in conditions.items())
    found = dict(database.rows(f"select case {why} end why, count(*) from given group by why"))
    fine = " and ".join(f"not coalesce({condition}, false)" for condition in conditions.values())
    return fine, {name: found.get(name, 0) for name in reasons}, counts


def _impossible(database: Database, dataset: Dataset, table: pa.Table) -> tuple[str, dict[str, str]]:
    """The condition for a time that cannot be true, and the reasons of times for which interactions are dropped."""
    if "timestamp" not in table.column_names:
        return "false", {}
    unit: Unit = table["timestamp"].type.unit
    within = f"time >= {_moment(USUAL, unit)} and time < {_moment(LATEST, unit)}"
    usual, timed = database.one(f"select count(*) filter ({within}), count(time) from given")
    reasons = {"missing_time": "time is null"}
    if dataset.times.outlying == "keep" or not timed:
        return "false", reasons
    odd = f"(time < {_moment(EARLIEST, unit)} or time >= {_moment(LATEST, unit)})" if 2 * usual >= timed else "false"
    count = database.count(f"given where {odd}")
    if count and dataset.times.outlying == "refuse":
        user, item, time = database.rows(
            f"select user_id, item_id, time from given where {odd} order by rowid limit 1"
        )[0]
        first, last = database.one(f"select min(time), max(time) from given where not {odd}")
        raise impossible_time((user, item), (time, first, last), unit, count)
    return odd, reasons | {"outlying_time": odd}


def _moment(seconds: int, unit: Unit) -> int:
    return seconds * PER_SECOND[unit]


def place(database: Database, dataset: Dataset, table: pa.Table, fine: str, refuse: bool, weighed: bool) -> str:
    """Make `users` and `interactions`, the usable ones by number of user and item; returns the unit of their times.

    Raises DataError where one names an item that the items lack and `refuse` says so.
    """
    database.table("users", "select distinct user_id from given")
    unit, divisor = _clock(database, table)
    join = "join kinds k on k.event = g.event" if weighed else ""
    database.table(
        "interactions",
        f"select g.rowid place, u.rowid::int u, coalesce(i.rowid, -1)::int i, coalesce(g.time, 0) // {divisor} time, "
        f"{'k.rowid::int' if weighed else '0'} kind from (select rowid, * from given g where {fine}) g "
        f"join users u using (user_id) left join items i on i.c0 = g.item_id {join}",
    )
    unknown = database.count("interactions where i < 0")
    if unknown and refuse:
        first = f"select place from interactions where i < 0 order by place limit {1000 * SHOWN}"
        rows = database.rows(f"select g.rowid, item_id from given g where g.rowid in ({first}) order by g.rowid")
        names = list(dict.fromkeys(name for _, name in rows))[:SHOWN]
        raise unknown_items(unknown, database.count("interactions"), names, named(dataset, table, rows[0][0]))
    database.run("drop table given")
    return unit


def _clock(database: Database, table: pa.Table) -> tuple[str, int]:
    """The coarsest unit that loses nothing of the times, and what they are divided by for it."""
    if "timestamp" not in table.column_names:
        return "position", 1
    unit, divisor = table["timestamp"].type.unit, 1
    while (at := UNITS.index(unit)) and not database.count(f"given where time % {1000 * divisor} <> 0"):
        unit, divisor = UNITS[at - 1], 1000 * divisor
    return unit, divisor


def keep(database: Database, config: stage.Config, unit: str, counts: Json) -> None:
    """Make `core`, the interactions that survive; how many were dropped for which reason is added to the counts."""
    dropped = counts["dropped"]
    dropped["unknown_item"] = database.count("interactions where i < 0")
    database.view("known", "from interactions where i >= 0")
    if config.duplicate_rows == "drop":
        dropped["duplicate_row"] = _without_repeats(database, config, counts)
    database.view("ruled", "select k.* from known k semi join (select rowid i from items where allowed) using (i)")
    known, ruled = database.count("known"), database.count("ruled")
    dropped["title_rules"] = known - ruled
    start, end = start_of(config.window_start), end_of(config.window_end)
    scale = 1 if unit == "position" else PER_SECOND[unit]
    [(first,)] = database.rows("select min(time) from ruled")
    while True:
        database.table("inside", f"from ruled where {_between(start, end, scale)}")
        inside, core = database.count("inside"), k_core(database, config.k_core)
        enough = (
            config.protocol != "temporal"
            or not config.min_items
            or _distinct(database, "i", "core") >= config.min_items
        )
        if enough or first is None or start <= first // scale:
            break
        start = year_earlier(start)
    dropped["outside_window"], dropped["k_core"] = ruled - inside, inside - core
    if not core:
        raise _emptied(database, config, inside, dropped)
    if config.window_start:
        counts["window_start"] = iso_day(start)


def _without_repeats(database: Database, config: stage.Config, counts: Json) -> int:
    """Keep one of the known interactions that agree in user, item and time: the first, as the kind that weighs most."""
    before, kind = database.count("known"), "min(kind)"
    if config.event_weights:
        weights = " ".join(
            f"when {n} then {config.event_weights.get(name, 0.0)!r}" for n, name in enumerate(counts["events"])
        )
        kind = f"arg_min(kind, row(-(case kind {weights} end)::double, place))"
    database.table("once", f"select min(place) place, u, i, time, {kind} kind from known group by u, i, time")
    database.view("known", "from once")
    return before - database.count("once")


def _between(start: int, end: int, scale: int) -> str:
    since = f"time >= {start * scale}" if start != YEAR_ZERO else "true"
    return f"{since} and time < {end * scale}" if end != FOREVER else since


def k_core(database: Database, k: int) -> int:
    """Make `core` of the rows of `inside` whose users and items all have k of them or more; returns how many there are.

    A row belongs to it where both its user and its item survive, so pairs alone are looked at until none is lost.
    """
    database.view("core", "from inside")
    left = database.count("inside")
    if k <= 1:
        return left
    source = "inside"
    for turn in range(left + 1):
        for column in ("u", "i"):
            database.table(f"many_{column}", f"select {column} from {source} group by {column} having count(*) >= {k}")
        kept = f"from {source} r semi join many_u using (u) semi join many_i using (i)"
        database.table(f"alive_{turn % 2}", f"select r.u, r.i {kept}")
        source, before, left = f"alive_{turn % 2}", left, database.count(f"alive_{turn % 2}")
        if left == before:
            break
    database.view("core", "select r.* from inside r semi join many_u using (u) semi join many_i using (i)")
    return left


def _distinct(database: Database, column: str, source: str) -> int:
    return database.count(f"(select distinct {column} from {source})")


def _emptied(database: Database, config: stage.Config, inside: int, dropped: dict[str, int]) -> Any:
    if not inside:
        return keeping.nothing_left(dropped)
    best = next((k for k in range(config.k_core - 1, 0, -1) if k_core(database, k)), 0)
    return keeping.no_core(
        config.k_core, inside, _distinct(database, "u", "inside"), _distinct(database, "i", "inside"), best
    )


def hold_out(database: Database, config: stage.Config) -> int:
    """Take the items that are held out of `core`, and put them into `held`; returns how many.

    Raises DataError where none is, or nothing is left.
    """
    database.table("with_rows", "select i, c0 item_id from (select distinct i from core) join items on items.rowid = i")
    alive = database.count("with_rows")
    order = f"order by seeded(item_id, {config.cold_seed}::ubigint), item_id limit {round(config.cold_share * alive)}"
    database.table("held", f"select i from with_rows {order}")
    database.table("left_in", "select c.* from core c anti join held using (i)")
    held, left = database.count("held"), database.count("left_in")
    if not held or not left:
        raise keeping.held_out_too_much(config.cold_share, alive, held, left)
    database.view("core", "from left_in")
    return held
