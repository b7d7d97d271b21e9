"""Numbers of users and items, and the order of interactions: tables `user_numbers`, `item_numbers`, `ordered`."""

from unisid.config import Json
from unisid.ops.splits import temporal_cuts
from unisid.stages import catalog as stage
from unisid.stages.catalog.days import YEAR_ZERO
from unisid.stages.catalog.on_disk.database import Database


def number(database: Database, config: stage.Config, held: bool) -> Json:
    """Make `states`, of every item what became of it, and the numbers of users and items; returns what was odd.

    A number is the row of a user in `user_numbers`, of an item in `item_numbers`.
    """
    if not held:
        database.table("held", "select i from core limit 0")
    columns = [
        "it.rowid in (select i from held) held",
        "it.rowid in (select i from interactions where i >= 0) met",
        "it.rowid in (select i from core) alive",
    ]
    database.table(
        "given_states", f"select it.rowid i, it.c0 item_id, not it.allowed ruled, {', '.join(columns)} from items it"
    )
    cold = "not ruled and not held" if config.keep_cold_items else "false"
    database.view("states", f"select *, alive or ({cold}) numbered from given_states")
    database.table(
        "user_numbers",
        f"select u, user_id, n, seeded(user_id, {config.seed + 1}::ubigint) tie "
        "from (select u, count(*) n from core group by u) join users on users.rowid = u "
        f"order by seeded(user_id, {config.seed}::ubigint), user_id",
    )
    database.table(
        "numbered_items",
        f"select i, item_id, seeded(item_id, {config.seed + 2}::ubigint) tie from states where numbered "
        f"order by seeded(item_id, {config.seed}::ubigint), item_id",
    )
    plain = database.count(r"numbered_items where not regexp_full_match(item_id, '\d{1,18}')")
    key = "item_id" if plain else "item_id::bigint"
    database.table("ranked", f"select rowid number from numbered_items order by {key}, rowid")
    database.table(
        "item_numbers",
        "select n.*, r.rowid rank from numbered_items n join ranked r on r.number = n.rowid order by n.rowid",
    )
    distinct = database.count("(select distinct u, i, time from core)")
    return _odd(database) | {"duplicate_rows": database.count("core") - distinct}


def _odd(database: Database) -> dict[str, int]:
    conditions = {
        "cold_items": "numbered and not alive",
        "ruled_items": "ruled and not numbered",
        "unmet_items": "not ruled and not met and not numbered",
        "filtered_items": "not ruled and met and not numbered and not held",
    }
    counts = ", ".join(f"count(*) filter ({condition})" for condition in conditions.values())
    return dict(zip(conditions, database.one(f"select {counts} from states"), strict=True))


def order(database: Database, config: stage.Config) -> None:
    """Make `ordered`: the interactions that are kept by number of user and item, by user and time, equal times as
    `numbering.time_order` has them."""
    tie = "paired(u.tie, i.tie), " if config.ties == "seed" else ""
    database.table(
        "ordered",
        'select u.rowid::int "user", i.rowid::int item, c.time, i.rank::int rank, c.kind '
        "from core c join user_numbers u using (u) join item_numbers i using (i) "
        f"order by u.rowid, c.time, {tie}c.place",
    )


def last_before_cuts(database: Database) -> list[tuple[int, int]]:
    """Time and place of the last sample before each cut of the temporal split, as `ops.splits.temporal_split_by` takes
    them."""
    database.table(
        "samples",
        "select time, o.rowid place from ordered o "
        'anti join (select min(rowid) first from ordered group by "user") on o.rowid = first order by time, o.rowid',
    )
    return [
        database.one(f"select time, place from samples where rowid = {cut - 1}") if cut else (YEAR_ZERO, -1)
        for cut in temporal_cuts(database.count("samples"))
    ]
