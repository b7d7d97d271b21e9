"""Makes the next version of a catalog from what is new alone: items and users keep their numbers, new ones come after
them, and new interactions join those of their users.

The raw data of the base are not read again, and its interactions are read a row group at a time. All that the base has
is for training; the newest of the new interactions are for validation and test. N items, U users, E interactions.
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float

from unisid.artifacts.catalog import LEFT_OUT, Catalog
from unisid.artifacts.tables import table_names, write_tables
from unisid.compute import Job
from unisid.config import Json
from unisid.datasets import Dataset
from unisid.errors import DataError
from unisid.log import logger
from unisid.raw.folders import passed_over
from unisid.raw.time_ranges import UNITS, Unit, rescaled
from unisid.stages import catalog as stage
from unisid.stages.catalog import summary
from unisid.stages.catalog.items import changed_texts, write_items_after
from unisid.stages.catalog.joining import write_joined
from unisid.stages.catalog.numbering import seeded_order
from unisid.stages.catalog.policies import usable, weigh
from unisid.stages.catalog.reading import Rows, distinct, read_interactions, read_items, rows_of
from unisid.stages.extension import base_of, take_over

LOG = logger(__name__)


@dataclass(frozen=True)
class _Items:
    """The items after the day."""

    ids: pa.Array
    """[N], by number."""
    left: dict[str, str]
    """Id -> why, of items without a number: the base's, and those of the day that the title rules drop."""
    counts: Json


@dataclass(frozen=True)
class _Users:
    """The users after the day, and the day's interactions by number of user and item."""

    ids: pa.Array
    """[U], by number."""
    rows: Rows
    weight: Float[np.ndarray, " E"] | None = None
    """How much each of them counts; None where all count alike."""
    kinds: Json = dataclasses.field(default_factory=dict)
    """What is counted of each kind that has a weight."""


def make(job: Job[stage.Config]) -> Json:
    """Write the catalog to `job.out`; its statistics, and how much was added.

    Raises:
        DataError: as the catalog's own stage, and where the base's interactions have positions instead of times.
    """
    config = job.config
    base = Catalog.read(base_of(config.base).open("catalog"))
    dataset = config.dataset.build()
    present = {part["table"] for part in dataset.parts()}
    if not present:
        raise DataError("catalog: neither new items nor new interactions are given; one table of them is needed")
    LOG.info(f"appending to {base.record.address}")
    items = _items(job, base, dataset, "items" in present)
    dropped: Json = {}
    users = _Users(base.user_ids, _no_rows(base))
    if "interactions" in present:
        users = _users(job, base, dataset, items, dropped)
    left = pa.table({"item_id": pa.array(items.left, pa.string()), "why": pa.array(items.left.values(), pa.string())})
    write_tables(job.out, LEFT_OUT, [left.sort_by("item_id")])
    write_tables(job.out, "users", [pa.table({"user_id": users.ids})])
    counts = _write_rows(job, base, items.ids, users, dropped)
    counts |= {"dropped": dropped, "oddities": items.counts.get("oddities", {})}
    counts |= {"least_rating": config.least_rating} if config.least_rating is not None else {}
    counts |= {"passed_over": over} if (over := passed_over(dataset.sources())) else {}
    counts["extension"] |= {
        "published": base.num_items,
        **items.counts.get("came", {"new": 0, "readmitted": 0}),
        "changed_texts": items.counts.get("changed_texts", 0),
        "new_users": len(users.ids) - base.num_users,
    }
    added = counts["extension"]
    more = f"; {added['readmitted']:,} items that {base.record.address} left out are in it now"
    LOG.info(
        f"{added['new']:,} items, {added['new_users']:,} users and {added['interactions']:,} interactions are new"
        f"{more if added['readmitted'] else ''}"
    )
    summary.log(counts)
    return counts


def _items(job: Job[stage.Config], base: Catalog, dataset: Dataset, given: bool) -> _Items:
    """Write all items: the base's as they are, then the new ones, where a table of them is given."""
    config = job.config
    if not given:
        take_over(base.place, job.out, table_names(base.place, "items"))
        return _Items(base.item_ids, base.left_out(), {})
    found = read_items(job, dataset, config.text, config.pool)
    found, repeated = distinct(found, (config.duplicate_items or dataset.anomalies) == "refuse")
    known = pc.index_in(found["item_id"].combine_chunks(), value_set=base.item_ids.cast(found["item_id"].type))
    new = known.is_null().to_numpy(zero_copy_only=False)
    allowed = stage.allowed_by_title(config, found)
    order = seeded_order(found["item_id"], new & allowed, config.seed)
    added = found.drop_columns(["markup"]).take(order)
    place = pc.fill_null(known, 0).to_numpy().astype(np.int64)
    changed = changed_texts(base, [found], np.where(new, base.num_items, place))
    came = write_items_after(job.out, base, added)
    ids = pa.concat_arrays([base.item_ids.cast(pa.string()), added["item_id"].combine_chunks().cast(pa.string())])
    ruled = dict.fromkeys(found["item_id"].filter(pa.array(new & ~allowed)).to_pylist(), "title")
    numbered = set(added["item_id"].to_pylist())
    left = {item_id: why for item_id, why in (base.left_out() | ruled).items() if item_id not in numbered}
    oddities = {"duplicate_items": repeated, "ruled_items": len(ruled)}
    return _Items(ids, left, {"oddities": oddities, "came": came, "changed_texts": changed})


def _no_rows(base: Catalog) -> Rows:
    none = np.empty(0, np.int64)
    return Rows(none, none, none, _unit(base))


def _unit(base: Catalog) -> Unit:
    """The unit of the base's times; raises DataError where it has none."""
    unit: Unit | Literal["position"] = base.record.counts.get("time_unit", "s")
    if unit == "position":
        raise DataError(
            f"catalog: {base.record.address} has the positions of interactions and no times, so it cannot be said what "
            "is new; build it from a column of times (catalog.dataset.timestamp)"
        )
    return unit


def _users(job: Job[stage.Config], base: Catalog, dataset: Dataset, items: _Items, dropped: Json) -> _Users:
    """The users after the day, and the day's usable interactions; how many were dropped for which reason is added."""
    config = job.config
    table = read_interactions(job, dataset, config.pool, config.least_rating is not None)
    stage.require_times(table, config)
    wanted = config.events, config.event_weights, config.least_rating
    kept, lost, events = usable(table, dataset.times, *wanted, all_occur=False)
    dropped |= lost
    left = pa.array(list(items.left), pa.large_string())
    every = pa.table({"item_id": pa.concat_arrays([items.ids.cast(pa.large_string()), left])})
    refuse = (config.unknown_items or _way(base, dataset)) == "refuse"
    users, rows = rows_of(table, every, kept, dataset, refuse, bool(config.event_weights))
    if rows.unit == "position":
        raise DataError(
            "catalog: the new interactions have positions and no times; name a column of times "
            "(catalog.dataset.timestamp)"
        )
    dropped["unknown_item"] = int((rows.item < 0).sum())
    dropped["left_out"] = int((rows.item >= len(items.ids)).sum())
    rows = rows.where((rows.item >= 0) & (rows.item < len(items.ids)))
    known = pc.index_in(users, value_set=base.user_ids.cast(users.type))
    new = known.is_null().to_numpy(zero_copy_only=False) & (np.bincount(rows.user, minlength=len(users)) > 0)
    order = seeded_order(users, new, config.seed)
    number = pc.fill_null(known, 0).to_numpy().astype(np.int64)
    number[order] = base.num_users + np.arange(len(order))
    ids = pa.concat_arrays([base.user_ids.cast(pa.string()), users.take(order).cast(pa.string())])
    rows = dataclasses.replace(rows, user=number[rows.user])
    if rows.kind is None:
        return _Users(ids, rows)
    return _Users(ids, rows, *weigh(rows.kind, events, config.event_weights))


def _weights(base: Catalog, config: stage.Config, users: _Users) -> tuple[Float[np.ndarray, " E"] | None, Json]:
    """The weights of the day's interactions, and what is counted by kind of all; None where all count alike.

    Raises DataError where the base has no weights and the settings have some, or the other way round.
    """
    if base.weighs != bool(config.event_weights):
        has = "weights of events" if base.weighs else "no weights of events"
        raise DataError(f"catalog.event_weights: {base.record.address} has {has}; must be those that it was made with")
    if not base.weighs:
        return None, {}
    counts = {kind: dict(each) for kind, each in base.record.counts["weights"].items()}
    for kind, each in users.kinds.items():
        counts.setdefault(kind, {**each, "interactions": 0})["interactions"] += each["interactions"]
    return np.empty(0) if users.weight is None else users.weight, {"weights": counts}


def _way(base: Catalog, dataset: Dataset) -> str:
    """The policy for interactions with an unknown item, where no setting says: they are counted where the base dropped
    items and does not say which."""
    lost = base.record.counts.get("oddities", {}).get("items_dropped") and not table_names(base.place, LEFT_OUT)
    return "count" if lost else dataset.anomalies


def _write_rows(job: Job[stage.Config], base: Catalog, item_ids: pa.Array, users: _Users, dropped: Json) -> Json:
    """Write all interactions, by user and time; returns their statistics."""
    before, own = _unit(base), cast(Unit, users.rows.unit)
    unit = max(before, own, key=UNITS.index)
    rows = dataclasses.replace(users.rows, timestamp=rescaled(users.rows.timestamp, own, unit), unit=unit)
    weight, kinds = _weights(base, job.config, users)
    counts = write_joined(job.out, job.config, base, before, rows, weight, (item_ids, users.ids))
    if job.config.duplicate_rows == "drop":
        dropped["duplicate_row"] = counts["extension"]["repeated"]
    return counts | kinds
