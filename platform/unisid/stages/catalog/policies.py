"""Which interactions a catalog uses, by the policies for rows that are incomplete, impossible, repeated or unwanted.

E interactions, N items, U users.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int

from unisid.config import did_you_mean
from unisid.errors import DataError
from unisid.raw.time_ranges import Times, Unit, outlying, when

Mask = Bool[np.ndarray, " E"]
SHARED_IDS = (
    "nan",
    "nat",
    "null",
    "none",
    "na",
    "n/a",
    "<na>",
    "\\n",
    "nil",
    "undefined",
    "unknown",
    "anonymous",
    "guest",
)
"""Ids that programs write where there is no user, in small letters."""
MANY, LARGE = 20, 0.2
"""Of so many users none has such a share of all interactions."""


def timed(table: pa.Table, policy: Times) -> tuple[Mask, dict[str, int]]:
    """The interactions whose time can be used, and how many lack one or have one that cannot be true.

    Raises DataError for a time that cannot be true where the policy refuses it: it may look right within its file.
    """
    kept = np.ones(table.num_rows, bool)
    if "timestamp" not in table.column_names:
        return kept, {}
    column = table["timestamp"]
    unit = column.type.unit
    kept &= column.is_valid().to_numpy()
    lost = {"missing_time": int((~kept).sum())}
    if policy.outlying == "keep" or not kept.any():
        return kept, lost
    times = pc.fill_null(column.cast(pa.int64()), 0).to_numpy()
    odd = np.zeros(len(kept), bool)
    odd[kept] = outlying(times[kept], unit)
    if odd.any() and policy.outlying == "refuse":
        row = int(np.flatnonzero(odd)[0])
        usual = times[kept & ~odd]
        ids, moments = (table["user_id"][row], table["item_id"][row]), (times[row], usual.min(), usual.max())
        raise impossible_time(ids, moments, unit, int(odd.sum()))
    return kept & ~odd, lost | {"outlying_time": int(odd.sum())}


def impossible_time(ids: tuple[Any, Any], times: tuple[Any, Any, Any], unit: Unit, count: int) -> DataError:
    """The error for a time that cannot be true: of a user and an item; that time, the first and the last of all others;
    how many such rows there are."""
    found, first, last = (when(time, unit) for time in times)
    return DataError(
        f"catalog: the interaction of user '{ids[0]}' with item '{ids[1]}' is of {found}, while most are between "
        f"{first} and {last} ({count} such rows); correct them, or set catalog.dataset.times.outlying to drop (such "
        "rows are then dropped and counted) or keep"
    )


def usable(
    table: pa.Table,
    times: Times,
    events: tuple[str, ...],
    weights: Mapping[str, float],
    least_rating: float | None,
    all_occur: bool = True,
) -> tuple[Mask, dict[str, int], dict[str, int]]:
    """The interactions that have a usable time, a wanted kind and a rating that is high enough; how many were
    dropped for which reason, the first that holds; and how many there are of each kind.

    Raises DataError as `timed`, `wanted_events` and `rated_enough`.
    """
    kept, lost = timed(table, times)
    chosen, kinds = wanted_events(table, events, weights, all_occur)
    lost["event"] = int((kept & ~chosen).sum())
    kept &= chosen
    rated, low = rated_enough(table, least_rating)
    lost |= {why: int((kept & which).sum()) for why, which in low.items()}
    return kept & rated, lost, kinds


def wanted_events(
    table: pa.Table, wanted: tuple[str, ...], weights: Mapping[str, float], all_occur: bool = True
) -> tuple[Mask, dict[str, int]]:
    """The interactions of the wanted kinds (none: of all), and how many there are of each kind.

    Raises DataError where a kind that is named does not occur (with `all_occur`), or one that is kept has no weight
    though others have.
    """
    if "event" not in table.column_names:
        for setting, named, are in (("events", tuple(wanted), "be kept"), ("event_weights", tuple(weights), "weigh")):
            if named:
                raise DataError(
                    f"catalog.{setting}: {', '.join(named)} are to {are}, but no column says of which kind an "
                    "interaction is; name it as catalog.dataset.event"
                )
        return np.ones(table.num_rows, bool), {}
    kinds = table["event"].combine_chunks()
    names = kinds.dictionary.to_pylist()
    number = kinds.indices.to_numpy()
    counts = dict(zip(names, np.bincount(number, minlength=len(names)).tolist(), strict=True))
    check_kinds(counts, wanted, weights, all_occur)
    chosen = np.array([not wanted or name in wanted for name in names], bool)
    return chosen[number], counts


def check_kinds(
    counts: Mapping[str, int], wanted: tuple[str, ...], weights: Mapping[str, float], all_occur: bool = True
) -> None:
    """Raises DataError where a kind that is named is none of those counted, or one that is kept has no weight though
    others have."""
    names = list(counts)
    known = ", ".join(f"'{name}' ({count})" for name, count in counts.items())
    for setting, kind in [*(("events", kind) for kind in wanted), *(("event_weights", kind) for kind in weights)]:
        if kind not in counts and all_occur:
            raise DataError(
                f"catalog.{setting}: no interaction is a '{kind}'{did_you_mean(kind, names)}; there are: {known}"
            )
    bare = [name for name in names if weights and name not in weights and (not wanted or name in wanted)]
    if bare:
        raise DataError(
            f"catalog.event_weights: the kind '{bare[0]}' ({counts[bare[0]]} interactions) has no weight; there are: "
            f"{known}; give each kind that is kept a weight, or name those to keep as catalog.events"
        )


def rated_enough(table: pa.Table, least: float | None) -> tuple[Mask, dict[str, Mask]]:
    """The interactions of at least this rating (none: all), and those that are dropped, by why.

    Raises DataError where the interactions have no ratings.
    """
    if least is None:
        return np.ones(table.num_rows, bool), {}
    if "rating" not in table.column_names:
        raise DataError(
            f"catalog.least_rating: interactions of {least:g} or more are to be kept, but no column says how one was "
            "rated; name it as catalog.dataset.rating"
        )
    found = pc.fill_null(table["rating"], np.nan).to_numpy()
    return found >= least, {"low_rating": found < least, "no_rating": np.isnan(found)}


def weigh(
    kind: Int[np.ndarray, " E"], names: Iterable[str], weights: Mapping[str, float]
) -> tuple[Float[np.ndarray, " E"], dict[str, dict[str, float]]]:
    """The weight of every interaction, and by kind that has one: `weight` and how many `interactions` there are.

    Args:
        kind: of every interaction, as places in the names.
    """
    each = np.array([weights.get(name, 0.0) for name in names])
    return each[kind], of_each_kind(names, weights, np.bincount(kind, minlength=len(each)).tolist())


def of_each_kind(
    names: Iterable[str], weights: Mapping[str, float], found: Iterable[int]
) -> dict[str, dict[str, float]]:
    """By kind that has one: its `weight` and how many `interactions` were found of it."""
    each = zip(names, found, strict=True)
    return {name: {"weight": weights[name], "interactions": n} for name, n in each if weights.get(name)}


def heaviest(
    user: Int[np.ndarray, " E"],
    item: Int[np.ndarray, " E"],
    time: Int[np.ndarray, " E"],
    weight: Float[np.ndarray, " E"],
) -> Int[np.ndarray, " E"]:
    """For each interaction the place of the one of its user, item and time that weighs most."""
    order = np.lexsort((-weight, time, item, user))
    starts = np.ones(len(user), bool)
    starts[1:] = np.any([column[order[1:]] != column[order[:-1]] for column in (user, item, time)], axis=0)
    best = np.empty(len(user), np.int64)
    best[order] = order[np.flatnonzero(starts)[np.cumsum(starts) - 1]]
    return best


def repeats(user: Int[np.ndarray, " E"], item: Int[np.ndarray, " E"], time: Int[np.ndarray, " E"]) -> Mask:
    """The interactions that repeat the user, the item and the time of one that stands before them."""
    order = np.lexsort((time, item, user))
    again = np.zeros(len(user), bool)
    same = np.ones(max(len(user) - 1, 0), bool)
    for column in (user, item, time):
        same &= column[order[1:]] == column[order[:-1]]
    again[order[1:][same]] = True
    return again


def taken_before(user: Int[np.ndarray, " E"], item: Int[np.ndarray, " E"], items: int) -> Mask:
    """The interactions, by user and time, whose item the user took before."""
    again = np.ones(len(user), bool)
    again[np.unique(user.astype(np.int64) * items + item, return_index=True)[1]] = False
    return again


def ranks(item_ids: pa.ChunkedArray | pa.Array) -> Int[np.ndarray, " N"]:
    """The place of every id among all of them, ascending; as numbers where all are such."""
    keys = item_ids
    if pc.all(pc.match_substring_regex(item_ids, r"^\d{1,18}$")).as_py():
        keys = item_ids.cast(pa.string()).cast(pa.int64())
    rank = np.empty(len(item_ids), np.int64)
    rank[pc.sort_indices(keys).to_numpy()] = np.arange(len(item_ids))
    return rank


def greater_steps(user: Int[np.ndarray, " E"], rank: Int[np.ndarray, " E"]) -> tuple[int, int]:
    """Of the steps from one item of a user to another: how many there are, and how many go to a greater id.

    About half do so where the order of a user's interactions owes nothing to the order of ids in the files.

    Args:
        rank: of the interactions' items, as `ranks` gives it.
    """
    step = np.diff(rank)
    step = step[(user[1:] == user[:-1]) & (step != 0)]
    return len(step), int((step > 0).sum())


def crowds(found: Int[np.ndarray, " U"], user_ids: pa.ChunkedArray | pa.Array, most: int) -> dict[str, int]:
    """The ids that look like no single user, and how many interactions each has: words for nothing, and the user `most`
    (a place; below 0: none), who has a large share of everything.

    Args:
        found: how many interactions each user has.
    """
    words = pa.array(SHARED_IDS, user_ids.type)
    shared = pc.is_in(pc.utf8_lower(user_ids), value_set=words).to_numpy(zero_copy_only=False).copy()
    if most >= 0:
        shared[most] = True
    return {user_ids[place].as_py(): int(found[place]) for place in np.flatnonzero(shared)}


def is_large(found: int, interactions: int, users: int) -> bool:
    """Whether among many users one has so many interactions that it may be none."""
    return users >= MANY and found > LARGE * interactions
