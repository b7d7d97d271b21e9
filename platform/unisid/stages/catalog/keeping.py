"""Which interactions a catalog keeps: the window, the k-core, what is held out. E interactions, N items."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from unisid.config import Json
from unisid.errors import DataError
from unisid.ops.distinct import sorted_unique
from unisid.ops.kcore import k_core, largest_k
from unisid.raw.time_ranges import PER_SECOND
from unisid.stages.catalog.days import FOREVER, YEAR_ZERO, end_of, iso_day, start_of, year_earlier
from unisid.stages.catalog.numbering import seeded_order
from unisid.stages.catalog.policies import heaviest, repeats, weigh
from unisid.stages.catalog.reading import Ints, Rows

if TYPE_CHECKING:
    from unisid.stages.catalog import Config


def filtered(config: Config, rows: Rows, allowed: Ints, counts: Json) -> Rows:
    """The interactions that survive; how many were dropped for which reason is added to the counts."""
    dropped = counts["dropped"]
    dropped["unknown_item"] = int((rows.item < 0).sum())
    known = rows.where(rows.item >= 0)
    if config.duplicate_rows == "drop":
        again = repeats(known.user, known.item, known.timestamp)
        if known.kind is not None:  # the row that stays is of the kind that weighs most
            weight, _ = weigh(known.kind, counts["events"], config.event_weights)
            known = dataclasses.replace(
                known, kind=known.kind[heaviest(known.user, known.item, known.timestamp, weight)]
            )
        known, dropped["duplicate_row"] = known.where(~again), int(again.sum())
    ruled = known.where(allowed[known.item])
    dropped["title_rules"] = len(known) - len(ruled)
    end = end_of(config.window_end)
    start = start_of(config.window_start)
    scale = 1 if rows.unit == "position" else PER_SECOND[rows.unit]
    while True:
        inside = ruled.where(_between(ruled.timestamp, start, end, scale))
        core = inside.where(k_core(inside.user, inside.item, config.k_core))
        enough = config.protocol != "temporal" or len(sorted_unique(core.item)) >= config.min_items
        if enough or not config.min_items or start <= ruled.timestamp.min(initial=FOREVER) // scale:
            break
        start = year_earlier(start)
    dropped["outside_window"] = len(ruled) - len(inside)
    dropped["k_core"] = len(inside) - len(core)
    if not len(core):
        raise _emptied(config, inside, dropped)
    if config.window_start:
        counts["window_start"] = iso_day(start)
    return core


def _between(timestamp: Ints, start: int, end: int, scale: int) -> Ints:
    """The times from one second on and before another."""
    since = timestamp >= start * scale if start != YEAR_ZERO else np.ones(len(timestamp), bool)
    return since & (timestamp < end * scale) if end != FOREVER else since


def held_out(config: Config, item_ids: pa.ChunkedArray, rows: Rows) -> tuple[Rows, Ints]:
    """The interactions of the items that stay, and the positions of those held out: a share of all that have any."""
    alive = np.bincount(rows.item, minlength=len(item_ids)) > 0
    held = seeded_order(item_ids, alive, config.cold_seed)[: round(config.cold_share * alive.sum())]
    kept = rows.where(~np.isin(rows.item, held))
    if not len(held) or not len(kept):
        raise held_out_too_much(config.cold_share, int(alive.sum()), len(held), len(kept))
    return kept, held


def held_out_too_much(share: float, items: int, held: int, left: int) -> DataError:
    """The error for a share of so many items that holds out none, or leaves no interaction."""
    return DataError(
        f"catalog.cold_share: {share:g} of {items} items holds out {held} and "
        f"leaves {left} interactions; at least one of each is needed"
    )


def _emptied(config: Config, inside: Rows, dropped: dict[str, int]) -> DataError:
    if not len(inside):
        return nothing_left(dropped)
    best = largest_k(inside.user, inside.item, config.k_core)
    users, items = len(sorted_unique(inside.user)), len(sorted_unique(inside.item))
    return no_core(config.k_core, len(inside), users, items, best)


def nothing_left(dropped: dict[str, int]) -> DataError:
    """The error for no interaction at all, with how many were dropped for which reason."""
    reasons = ", ".join(f"{name} {count}" for name, count in dropped.items() if count)
    return DataError(
        f"catalog: no interaction is left (dropped: {reasons}); check that the ids of both tables "
        "agree, catalog.window_start and window_end, and catalog.title_rules"
    )


def no_core(k: int, interactions: int, users: int, items: int, best: int) -> DataError:
    """The error for an empty k-core of so many interactions, with the largest k that leaves something."""
    return DataError(
        f"catalog: the {k}-core of {interactions} interactions of {users} users with {items} "
        f"items is empty; set catalog.k_core to {best} or less, or give more data"
    )
