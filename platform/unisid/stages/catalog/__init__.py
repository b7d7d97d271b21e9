"""Makes the catalog: raw data read and cleaned in parallel parts (`reading`); filtered, numbered, split in columns.

What must see all rows at once (window, k-core, numbering, order, splits) runs in numpy in the calling process, on
integers only. The result is a pure function of the data as a set of rows (under `ties = "row"`, of their order too)
and of the settings. N items, U users, E interactions.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unisid.artifacts.catalog import FUTURE_WINDOW, LEFT_OUT, write_interactions
from unisid.artifacts.tables import write_tables
from unisid.bounds import Count, CountOrNone, Kind, Positive, Range, Seed, Settings, ShareBelowOne
from unisid.compute import Job, Pool
from unisid.config import Json, fingerprint, identity_where, runtime
from unisid.datasets import DatasetConfig, synthetic
from unisid.errors import ConfigError, DataError
from unisid.log import logger
from unisid.ops.text import PLACEHOLDER
from unisid.raw.folders import passed_over
from unisid.raw.rows import unread_of
from unisid.stages.catalog import published, summary
from unisid.stages.catalog.days import end_of, start_of
from unisid.stages.catalog.keeping import filtered, held_out
from unisid.stages.catalog.numbering import Ties, numbers, seeded_order, time_order
from unisid.stages.catalog.parts import unread_in_words
from unisid.stages.catalog.policies import repeats, usable, weigh
from unisid.stages.catalog.protocols import split_of
from unisid.stages.catalog.reading import Ints, Rows, distinct, read_interactions, read_items, rows_of
from unisid.stages.catalog.statistics import statistics
from unisid.stages.extension import Base

LOG = logger(__name__)

ITEMS_PER_FILE = 1 << 18
MOST_WORDS = 20
"""Titles with more words than this are dropped by the title rules."""
LOST = "\N{REPLACEMENT CHARACTER}"
"""What programs write for a character that they could not read."""
AnomalyPolicy = Literal["refuse", "count"]
Rating = Annotated[float, Range(-1_000_000, 1_000_000)]


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """What is read, what of it is kept, and how it is split."""

    dataset: DatasetConfig = field(default_factory=synthetic.Config)
    """The raw data: one of the kinds in unisid/datasets."""
    protocol: Literal["temporal", "leave-one-out", "future-window"] = "temporal"
    """How samples are split: pooled by time 80/10/10; each user's last two items; or by two moments, all that follows
    in a window being predicted from what is known at its beginning."""
    future_days: CountOrNone = field(
        default=0, metadata=identity_where(lambda config: config.protocol == FUTURE_WINDOW)
    )
    """`future-window`: days of the validation and of the test window; 0: each a tenth of the time that there is."""
    k_core: CountOrNone = 5
    """Interactions that every user and every item must keep, after all else is dropped; 0 keeps all."""
    window_start: str = ""
    """First day that counts, 2016-10 or 2016-10-01 (UTC); empty: from the beginning."""
    window_end: str = ""
    """First day that no longer counts, in the same form; empty: to the end."""
    min_items: CountOrNone = 3000
    """`temporal` with a window_start: while fewer items survive, the start moves one year earlier; 0: never."""
    history_length: Annotated[int, Range(1, 100_000)] = 10
    """How many of the last items a sample's history keeps: 10 in `temporal`, 20 in `leave-one-out` papers."""
    title_rules: bool | None = None
    """Drop items without a title, with markup in it or with more than 20 words in it; None: under `temporal`."""
    text: tuple[str, ...] = ()
    """The columns that make up an item's text, in order; none: those the dataset names (title, description)."""
    ties: Literal["seed", "row"] = "seed"
    """The order of a user's interactions of one time: by a seeded hash of user and item, or as in the files."""
    seed: Seed = 42
    """Decides the numbering of items and users, and ties."""
    keep_cold_items: bool = False
    """Keep the items that no interaction is left of: they too get a number, a text and a semantic id."""
    cold_share: ShareBelowOne = field(default=0.0, metadata=identity_where(lambda config: config.cold_share > 0))
    """Leave out this share of the items that have interactions, with all of these: what a cold start is tried with."""
    cold_seed: Seed = field(default=42, metadata=identity_where(lambda config: config.cold_share > 0))
    """Which items are left out: those of the smallest hash."""
    unknown_items: AnomalyPolicy | None = None
    """Interactions that name an item the items lack: an error, or dropped and counted; None: the dataset's way."""
    duplicate_items: AnomalyPolicy | None = None
    """Item ids that occur twice: an error, or the first row wins and the rest is counted; None: the dataset's way."""
    duplicate_rows: Literal["keep", "drop"] = field(
        default="keep", metadata=identity_where(lambda config: config.duplicate_rows != "keep")
    )
    """Interactions that repeat user, item and time of another: kept, for a user may take two of a kind on one day, or
    one of each is kept; they are counted."""
    events: tuple[str, ...] = field(default=(), metadata=identity_where(lambda config: bool(config.events)))
    """The kinds of interaction to keep, by the column that the dataset names as `event`; none: all."""
    event_weights: Mapping[Kind, Positive] = field(
        default_factory=dict, metadata=identity_where(lambda config: bool(config.event_weights))
    )
    """How much an interaction of each kind counts, such as view 1, cart 3, purchase 10, in the graph's edges, in
    neighbours and related items, and in ItemKNN; none: all count 1. Every kind that is kept needs one. Histories,
    targets and metrics take no notice."""
    least_rating: Rating | None = field(default=None, metadata=identity_where(lambda c: c.least_rating is not None))
    """Keep interactions that were rated so or better, by the column that the dataset names as `rating`; None: all."""
    base: Base | None = field(default=None, metadata=identity_where(lambda config: config.base is not None))
    """The older version whose items stay as they are; None: all are made anew. `unisid index extend` sets it."""
    append: bool = field(default=False, metadata=identity_where(lambda config: config.append))
    """With a `base`: the dataset holds only what is new, which comes after all that the base has. The rules for a whole
    catalogue (k_core, window, min_items) are not applied to it. `unisid update` sets it."""
    valid_share: ShareBelowOne = field(default=0.1, metadata=identity_where(lambda config: config.append))
    """With `append`: this share of the new samples, before the test samples, is for validation."""
    test_share: ShareBelowOne = field(default=0.2, metadata=identity_where(lambda config: config.append))
    """With `append`: the newest share of the new samples, by which models are compared. All else is for training."""
    published: Mapping[str, Count] = field(default_factory=dict, metadata={"identity": False})
    """Counts that a paper publishes of this data set (users, items, interactions, samples, train, valid, test): the
    catalog says whether it has them, and decides nothing by them."""
    memory: Annotated[float, Range(0, 1 << 16)] | None = runtime(None)
    """GiB of memory in which rows are numbered, filtered, joined and sorted; what is above it is on disk (DuckDB, the
    extra `large`). 0: all in this process's memory. None: so, unless the interactions would take more than half of this
    machine's memory. It decides no byte."""
    pool: Pool = runtime(Pool())
    """The workers that read and clean."""

    def __post_init__(self) -> None:
        super().__post_init__()
        published.check_names(self.published)
        if start_of(self.window_start) >= end_of(self.window_end):
            raise ConfigError(f"catalog: window_end {self.window_end} is not after window_start {self.window_start}")
        if self.events and self.event_weights and set(self.events) != set(self.event_weights):
            raise ConfigError(
                f"catalog.event_weights: weighs {', '.join(self.event_weights)}, while catalog.events keeps "
                f"{', '.join(self.events)}; must weigh the kinds that are kept, and no other"
            )
        if self.append and self.base is None:
            raise ConfigError("catalog.append: is True without a catalog.base to append to; `unisid update` names one")
        if self.valid_share + self.test_share >= 1:
            raise ConfigError(
                f"catalog: valid_share {self.valid_share:g} and test_share {self.test_share:g} leave nothing to learn "
                "from; together they must be below 1"
            )

    @property
    def applies_title_rules(self) -> bool:
        """`title_rules`; where it is not set, whether the protocol is temporal."""
        return self.protocol == "temporal" if self.title_rules is None else self.title_rules


def inputs(config: Config) -> tuple[str, ...]:
    """The nouns that it reads; one that the recipe leaves out is absent."""
    return ()


def sources(config: Config) -> dict[str, Json]:
    """Role -> where the raw data of that role lie, and the fingerprint of their content."""
    found = config.dataset.build().sources().items()
    return {
        role: {
            "address": ", ".join(file.path for file in files),
            "fingerprint": fingerprint([file.digest() for file in files]),
        }
        for role, files in found
    }


def make(job: Job[Config]) -> Json:
    """Write the catalog of `job.config` to `job.out`; returns its statistics."""
    config = job.config
    from unisid.stages.catalog import on_disk  # it is built on what is here

    if gib := on_disk.memory_of(config):
        return on_disk.make(job, gib)
    items, users, rows, counts = _read(job, config)
    met = _met(rows, items)
    allowed = allowed_by_title(config, items)
    ruled = ~allowed
    rows = filtered(config, rows, allowed, counts)
    held = np.zeros(items.num_rows, bool)
    if config.cold_share:
        rows, chosen = held_out(config, items["item_id"], rows)
        allowed[chosen], held[chosen] = False, True
        counts["held_out"] = len(chosen)
        LOG.info(f"{len(chosen):,} items are held out")
    LOG.info(f"{len(rows):,} interactions kept")
    alive = _met(rows, items)
    numbered = alive | (allowed & config.keep_cold_items)
    item_order = seeded_order(items["item_id"], numbered, config.seed)
    user_order = seeded_order(users, np.bincount(rows.user, minlength=len(users)) > 0, config.seed)
    counts["oddities"] |= {
        "duplicate_rows": int(repeats(rows.user, rows.item, rows.timestamp).sum()),
        "cold_items": int((numbered & ~alive).sum()),
        "ruled_items": int((ruled & ~numbered).sum()),
        "unmet_items": int((~ruled & ~met & ~numbered).sum()),
        "filtered_items": int((~ruled & met & ~numbered).sum()) - counts.get("held_out", 0),
    }
    counts["oddities"] |= write_items(job, items, item_order)
    _write_left_out(job, items["item_id"], ~numbered, {"held out": held, "title": ruled, "unmet": ~met})
    users, item_ids = users.take(user_order), items["item_id"].take(item_order)
    write_tables(job.out, "users", [pa.table({"user_id": users})])

    rows = dataclasses.replace(rows, user=numbers(user_order)[rows.user], item=numbers(item_order)[rows.item])
    del items
    ties = Ties.of(users, item_ids, config.seed) if config.ties == "seed" else None
    rows = rows.where(time_order(rows.user, rows.item, rows.timestamp, ties))
    split = split_of(config.protocol, config.future_days, rows)
    weight = None
    if rows.kind is not None:
        weight, counts["weights"] = weigh(rows.kind, counts["events"], config.event_weights)
    write_interactions(job.out, rows.user, rows.item, rows.timestamp, split, weight)
    return concluded(config, statistics(rows, split, item_ids, users, config.protocol == FUTURE_WINDOW) | counts)


def concluded(config: Config, counts: Json) -> Json:
    """The counts beside those that a paper publishes; what there is to say of them is logged."""
    if config.published:
        counts["published"] = published.compared(counts, config.published)
        LOG.info(published.in_words(counts))
    summary.log(counts)
    return counts


def _met(rows: Rows, items: pa.Table) -> Ints:
    """Which of the items [N] have an interaction."""
    return np.bincount(rows.item[rows.item >= 0], minlength=items.num_rows) > 0


def _read(job: Job[Config], config: Config) -> tuple[pa.Table, pa.Array, Rows, Json]:
    """The items, the users' ids, the usable interactions, and the counts so far."""
    dataset = config.dataset.build()
    way = dataset.anomalies
    LOG.info(f"reading {config.dataset.kind} data")
    items = read_items(job, dataset, config.text, config.pool)
    items, repeated = distinct(items, (config.duplicate_items or way) == "refuse")
    table = read_interactions(job, dataset, config.pool, config.least_rating is not None)
    if config.protocol != "leave-one-out" or config.window_start or config.window_end:
        require_times(table, config)
    kept, lost, events = usable(table, dataset.times, config.events, config.event_weights, config.least_rating)
    refuse = (config.unknown_items or way) == "refuse"
    users, rows = rows_of(table, items, kept, dataset, refuse, bool(config.event_weights))
    counts = {"dropped": lost, "oddities": {"duplicate_items": repeated}}
    return (
        items,
        users,
        rows,
        counts | found_in(config, (items, table), (items.num_rows, len(rows), len(users)), events),
    )


def found_in(
    config: Config, tables: tuple[pa.Table, pa.Table], sizes: tuple[int, int, int], events: dict[str, int]
) -> Json:
    """Counts of the raw data beside rows: kinds of event, columns and files that are not read.

    Args:
        tables: the items and the interactions that were read.
        sizes: how many items, interactions and users, for the log.
    """
    unread = {
        name: unread_in_words(unread_of(found)[0])
        for name, found in zip(("items", "interactions"), tables, strict=True)
    }
    unread = {name: columns for name, columns in unread.items() if columns}
    left = "".join(f"; not read of the {name}: {columns}" for name, columns in unread.items())
    items, interactions, users = sizes
    LOG.info(f"{items:,} items, {interactions:,} interactions of {users:,} users read{left}")
    over = passed_over(config.dataset.build().sources())
    found = {"events": events, "unread": unread, "passed_over": over, "least_rating": config.least_rating}
    return {name: value for name, value in found.items() if value}


def write_items(job: Job[Config], items: pa.Table, order: Ints) -> dict[str, int]:
    """Write the items in the order of their numbers, a file's worth at a time; returns what was odd about them."""
    odd = Counter[str](titles_with_markup=0, empty_texts=0, lost_characters=0)

    def files() -> Iterator[pa.Table]:
        for start in range(0, len(order), ITEMS_PER_FILE):
            found = items.take(order[start : start + ITEMS_PER_FILE])
            odd.update(odd_in(found))
            yield as_written(found)

    written = write_tables(job.out, "items", files())
    return dict(odd) | {"items_dropped": items.num_rows - written}


def odd_in(items: pa.Table) -> dict[str, int]:
    """Counts of what is odd about items."""
    return {
        "titles_with_markup": pc.sum(items["markup"]).as_py(),
        "empty_texts": pc.sum(pc.equal(items["text"], PLACEHOLDER)).as_py(),
        "lost_characters": pc.sum(pc.match_substring(items["text"], LOST)).as_py(),
    }


def as_written(items: pa.Table) -> pa.Table:
    """Items of one file as it has them: workers send texts with 64-bit offsets, for all of them may exceed 2 GiB."""
    kept = items.drop_columns(["markup"])
    return kept.cast(pa.schema([(name, pa.string()) for name in kept.column_names]))


def _write_left_out(job: Job[Config], ids: pa.ChunkedArray, left: Ints, reasons: Mapping[str, Ints]) -> None:
    """Write the ids of the items without a number, by id, and why: the first reason that holds, or "filtered"."""
    places = np.flatnonzero(left)
    why = np.select([reason[places] for reason in reasons.values()], list(reasons), "filtered")
    table = pa.table({"item_id": ids.take(places).cast(pa.string()), "why": pa.array(why, pa.string())})
    table = table.sort_by("item_id")
    starts = range(0, len(places), ITEMS_PER_FILE)
    write_tables(job.out, LEFT_OUT, (table.slice(start, ITEMS_PER_FILE) for start in starts))


# --- what is kept ---


def allowed_by_title(config: Config, items: pa.Table) -> Ints:
    """The items [N] that the title rules let through."""
    if not config.applies_title_rules:
        return np.ones(items.num_rows, bool)
    blanks = pc.count_substring(items["title"], " ").to_numpy()
    titled = pc.not_equal(items["title"], "").to_numpy()
    return titled & (blanks < MOST_WORDS) & ~items["markup"].to_numpy()


def require_times(table: pa.Table, config: Config) -> None:
    if "timestamp" not in table.column_names:
        wants = "a window" if config.protocol == "leave-one-out" else f"the protocol '{config.protocol}'"
        raise DataError(
            f"catalog: {wants} needs times, the {config.dataset.kind} data have positions only; "
            "set catalog.protocol to leave-one-out and no window, or name a column of times"
        )
