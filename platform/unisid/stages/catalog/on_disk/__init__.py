"""Makes the catalog in bounded memory: the bytes that `stages.catalog` makes, sorted and joined on disk.

Workers read and clean the parts as ever; a database (DuckDB) numbers, filters, orders and joins them with as much
memory as `catalog.memory` says, and what is written passes through the driver a few hundred thousand rows at a time.
Beside that the driver holds one part of the raw data, or the longest history of one user.
"""

import pyarrow as pa

from unisid.compute import Job
from unisid.config import Json
from unisid.log import logger
from unisid.stages import catalog as stage
from unisid.stages.catalog.on_disk import keeping, numbering, writing
from unisid.stages.catalog.on_disk.database import Database, opened
from unisid.stages.catalog.on_disk.memory import memory_of as memory_of
from unisid.stages.catalog.on_disk.reading import load_interactions, load_items
from unisid.stages.catalog.reading import interactions_in_pieces, items_in_pieces

LOG = logger(__name__)


def make(job: Job[stage.Config], gib: float) -> Json:
    """Write the catalog of `job.config` to `job.out` with so much memory; returns its statistics.

    Raises:
        ConfigError: as `database.opened`.
    """
    pool = job.config.pool
    with opened(job.work, gib, max(1, int(pool.workers * pool.cpus))) as database:
        return _made(job, database)


def _made(job: Job[stage.Config], database: Database) -> Json:
    config = job.config
    items, interactions, unit, counts = _read(job, database)
    keeping.keep(database, config, unit, counts)
    if config.cold_share:
        counts["held_out"] = keeping.hold_out(database, config)
        LOG.info(f"{counts['held_out']:,} items are held out")
    LOG.info(f"{database.count('core'):,} interactions kept")
    counts["oddities"] |= numbering.number(database, config, bool(config.cold_share))
    counts["oddities"] |= writing.write_items(database, job.out, items.column_names)
    writing.write_left_out(database, job.out)
    shared = writing.write_users(database, job.out, interactions["user_id"].type)
    numbering.order(database, config)
    tally = writing.write_interactions(database, config, job.out, unit, counts)
    return stage.concluded(config, writing.statistics(database, tally, unit, shared) | counts)


def _read(job: Job[stage.Config], database: Database) -> tuple[pa.Table, pa.Table, str, Json]:
    """Fill the database; returns a few rows of the items and of the interactions, the unit of the times, and the counts
    so far."""
    config, dataset = job.config, job.config.dataset.build()
    way = dataset.anomalies
    LOG.info(f"reading {config.dataset.kind} data")
    items = load_items(database, items_in_pieces(job, dataset, config.text, config.pool), config)
    repeated = keeping.distinct(database, (config.duplicate_items or way) == "refuse")
    rated = config.least_rating is not None
    pieces = interactions_in_pieces(job, dataset, config.pool, rated)
    table = load_interactions(database, pieces, config)
    if config.protocol != "leave-one-out" or config.window_start or config.window_end:
        stage.require_times(table, config)
    fine, lost, events = keeping.usable(database, dataset, config, table)
    refuse = (config.unknown_items or way) == "refuse"
    unit = keeping.place(database, dataset, table, fine, refuse, bool(config.event_weights))
    sizes = database.count("items"), database.count("interactions"), database.count("users")
    counts = {"dropped": lost, "oddities": {"duplicate_items": repeated}}
    return items, table, unit, counts | stage.found_in(config, (items, table), sizes, events)
