"""Who gets which code when codes have room for few: capacity-limited placing, and distinct codes at least cost.

n items, K codes, G groups. All functions are pure and break ties by item number.
"""

import numpy as np
import scipy  # loads its parts on first use
from jaxtyping import Float, Int


def place_within_room(distances: Float[np.ndarray, "n K"], room: Int[np.ndarray, " K"]) -> Int[np.ndarray, " n"]:
    """A code for every item such that code k gets at most room[k] items.

    Every unassigned item chooses the nearest code that still has room; a code chosen by too many accepts its nearest
    items, and the others choose again in the next round. At most K + 1 rounds: each fills a code or is the last.
    """
    assert room.sum() >= len(distances), (room.sum(), len(distances))
    codes = np.empty(len(distances), np.int64)
    room = room.copy()
    unassigned = np.arange(len(distances))
    while len(unassigned):
        open_codes = np.flatnonzero(room)
        choice = open_codes[distances[np.ix_(unassigned, open_codes)].argmin(1)]
        order = np.lexsort((unassigned, distances[unassigned, choice], choice))
        unassigned, choice = unassigned[order], choice[order]
        accepted = positions_in_run(choice) < room[choice]
        codes[unassigned[accepted]] = choice[accepted]
        room -= np.bincount(choice[accepted], minlength=len(room))
        unassigned = np.sort(unassigned[~accepted])
    return codes


def place_within_load(
    distances: Float[np.ndarray, "n K"], loads: Int[np.ndarray, " n"], room: Int[np.ndarray, " K"]
) -> Int[np.ndarray, " n"]:
    """A code for every item such that code k takes items only while the loads of those it has are below room[k].

    As `place_within_room`, which is the case of loads of 1: an unassigned item chooses the nearest open code, and a
    code accepts from the nearest on. So a code holds less than its room and its last item's load together. Loads are
    at least 1.
    """
    assert room.sum() >= loads.sum(), (room.sum(), loads.sum())
    assert loads.min(initial=1) > 0, loads.min()
    codes = np.empty(len(distances), np.int64)
    room = room.copy()
    unassigned = np.arange(len(distances))
    while len(unassigned):
        open_codes = np.flatnonzero(room > 0)
        choice = open_codes[distances[np.ix_(unassigned, open_codes)].argmin(1)]
        order = np.lexsort((unassigned, distances[unassigned, choice], choice))
        unassigned, choice = unassigned[order], choice[order]
        starts, before = run_starts(choice), loads[unassigned].cumsum() - loads[unassigned]
        accepted = before - np.repeat(before[starts[:-1]], np.diff(starts)) < room[choice]
        codes[unassigned[accepted]] = choice[accepted]
        np.subtract.at(room, choice[accepted], loads[unassigned[accepted]])
        unassigned = np.sort(unassigned[~accepted])
    return codes


def distinct_codes(
    distances: Float[np.ndarray, "n K"], starts: Int[np.ndarray, " G1"], room: Int[np.ndarray, "G K"] | None = None
) -> Int[np.ndarray, " n"]:
    """Codes at least total distance, no two equal within a group (a linear assignment a group).

    Args:
        starts: group g is rows starts[g] to starts[g + 1], no more of them than it has room; the last entry is n.
        room: 0 for the codes that a group may not use; all may use all where it is left out.
    """
    codes = np.empty(len(distances), np.int64)
    for group, (first, last) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)):
        free = np.arange(distances.shape[1]) if room is None else np.flatnonzero(room[group])
        codes[first:last] = free[scipy.optimize.linear_sum_assignment(distances[first:last, free])[1]]
    return codes


def positions_in_run(keys: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """How many equal keys stand right before each: [7, 7, 9, 7] -> [0, 1, 0, 0]."""
    starts = run_starts(keys)
    return np.arange(len(keys)) - np.repeat(starts[:-1], np.diff(starts))


def run_starts(keys: Int[np.ndarray, " n"]) -> Int[np.ndarray, " G1"]:
    """Where each run of equal keys begins, and n at the end."""
    changes = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    return np.concatenate([[0], changes, [len(keys)]]) if len(keys) else np.zeros(1, np.int64)


def ordinals(keys: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Zero-based rank of each item among items with the same key (cumcount): [7, 9, 7] -> [0, 0, 1]."""
    order = np.argsort(keys, kind="stable")
    counted = np.empty(len(keys), np.int64)
    counted[order] = positions_in_run(keys[order])
    return counted
