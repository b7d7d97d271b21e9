"""A catalog's statistics: what is in its interactions. E interactions, N items, U users."""

from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from unisid.artifacts.catalog import SPLITS
from unisid.config import Json
from unisid.ops.distinct import sorted_unique
from unisid.ops.splits import first_rows, known_until, tied_steps
from unisid.raw.time_ranges import Unit, when
from unisid.stages.catalog.policies import crowds, greater_steps, is_large, ranks, taken_before
from unisid.stages.catalog.reading import Rows


@dataclass(frozen=True)
class Tally:
    """What is counted of some users' interactions. Tallies of other users add up."""

    counts: Int[np.ndarray, " 6"]
    """How many interactions there are, how many samples, how many of these are tied with the row before; users with a
    sample; steps to another item, and those to a greater id."""
    samples: Int[np.ndarray, " splits"]
    """Of each split."""
    again: Int[np.ndarray, " splits"]
    """Of each split: the interactions whose item the user took before."""
    first: int
    last: int
    """The earliest and the latest time."""

    def __add__(self, other: "Tally") -> "Tally":
        counts, samples, again = (getattr(self, name) + getattr(other, name) for name in ("counts", "samples", "again"))
        return Tally(counts, samples, again, min(self.first, other.first), max(self.last, other.last))


def tally(
    rows: Rows, split: Int[np.ndarray, " E"], rank: Int[np.ndarray, " E"], items: int, window: bool = False
) -> Tally:
    """Counts of interactions ordered by user and time, all of each user's; with a `window`, histories end where it
    begins.

    Args:
        rank: [E], of the interactions' items among all ids.
        items: N.
    """
    user, sampled = rows.user, ~first_rows(rows.user)
    if window:
        begins = np.maximum.accumulate(np.where(sampled, 0, np.arange(len(user))))
        sampled = known_until(user, split) > begins
    samples, again = (
        np.bincount(split[chosen], minlength=len(SPLITS)) for chosen in (sampled, taken_before(user, rows.item, items))
    )
    tied, with_samples = tied_steps(user, rows.timestamp).sum(), len(sorted_unique(user[sampled]))
    counts = np.array([len(rows), sampled.sum(), tied, with_samples, *greater_steps(user, rank)])
    return Tally(counts, samples, again, int(rows.timestamp.min()), int(rows.timestamp.max()))


def in_record(found: Tally, items: int, users: int, unit: Unit | Literal["position"], shared: dict[str, int]) -> Json:
    """The statistics of a tally of all users.

    Args:
        shared: as `policies.crowds` gives it.
    """
    interactions, sampled, tied, with_samples, steps, greater = found.counts.tolist()
    return {
        "items": items,
        "users": users,
        "interactions": interactions,
        "density": interactions / (items * users),
        "tied_steps": tied / max(1, sampled),
        "users_without_samples": users - with_samples,
        **dict(zip(SPLITS, found.samples.tolist(), strict=True)),
        "taken_before": dict(zip(SPLITS, found.again.tolist(), strict=True)),
        "order": {"steps": steps, "to_greater_id": greater / steps if steps else 0.5},
        "crowds": shared,
        "time_unit": unit,
        **({} if unit == "position" else {"first_time": when(found.first, unit), "last_time": when(found.last, unit)}),
    }


def statistics(
    rows: Rows, split: Int[np.ndarray, " E"], item_ids: pa.ChunkedArray, user_ids: pa.Array, window: bool = False
) -> Json:
    """Statistics of interactions ordered by user and time; with a `window`, histories end where it begins."""
    items, users = len(item_ids), len(user_ids)
    shared = shared_ids(np.bincount(rows.user, minlength=users), user_ids)
    found = tally(rows, split, ranks(item_ids)[rows.item], items, window)
    return in_record(found, items, users, rows.unit, shared)


def shared_ids(each: Int[np.ndarray, " U"], user_ids: pa.Array) -> dict[str, int]:
    """The users that look like none, and how many interactions these have.

    Args:
        each: how many each user has.
    """
    most = int(each.argmax())
    return crowds(each, user_ids, most if is_large(int(each[most]), int(each.sum()), len(each)) else -1)


def summed(tallies: "list[Tally]") -> Tally:
    """All tallies as one."""
    return reduce(Tally.__add__, tallies)
