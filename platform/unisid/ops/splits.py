"""Which split an interaction belongs to. E interactions, already sorted by user and, within a user, by time.

Labels are 0, 1, 2 for train, valid, test. Every row that is not its user's first is a sample, and the row's label
is its split; within a user labels never decrease, so a history never holds a row of a later split than its target.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int, Int8


def first_rows(user: Int[np.ndarray, "E"]) -> Bool[np.ndarray, "E"]:
    """The rows that are their user's first, and therefore no sample: they have no history."""
    first = np.ones(len(user), bool)
    first[1:] = user[1:] != user[:-1]
    return first


def temporal_split(user: Int[np.ndarray, "E"], timestamp: Int[np.ndarray, "E"]) -> Int8[np.ndarray, "E"]:
    """All samples pooled, oldest target first, cut at 80% and 90% (`temporal`).

    Samples of one time stand in the order of the rows given: by user number, then by the user's own order. A user's
    first row takes the label of the row after it, so it is known exactly when it first serves as history; where no
    row comes after it, that of the samples of its time.
    """
    first = first_rows(user)
    order = np.argsort(timestamp, kind="stable")
    sampled = ~first[order]
    samples = int(sampled.sum())
    earlier = np.empty(len(user), np.int64)
    earlier[order] = np.cumsum(sampled) - sampled
    cuts = temporal_cuts(samples)
    label = ((earlier >= cuts[0]).astype(np.int8) + (earlier >= cuts[1])).astype(np.int8)
    return _of_the_next(label, first)


def temporal_cuts(samples: int) -> tuple[int, int]:
    """How many of the oldest samples are for training, and for training or validation."""
    return samples * 8 // 10, samples * 9 // 10


def temporal_split_by(
    user: Int[np.ndarray, "E"], timestamp: Int[np.ndarray, "E"], place: int, ends: Sequence[tuple[int, int]]
) -> Int8[np.ndarray, "E"]:
    """`temporal_split` of whole users that are some of all, by the last sample before each cut.

    Args:
        place: of the first of these rows among all.
        ends: time and place of those samples, (the smallest number, -1) where none is before a cut.
    """
    places = place + np.arange(len(user))
    later = [(timestamp > time) | ((timestamp == time) & (places > last)) for time, last in ends]
    return _of_the_next(np.stack(later).sum(0, dtype=np.int8), first_rows(user))


def _of_the_next(label: Int8[np.ndarray, "E"], first: Bool[np.ndarray, "E"]) -> Int8[np.ndarray, "E"]:
    """The labels, but a user's first row has that of the row after it, where there is one."""
    followed = np.flatnonzero(first[:-1] & ~first[1:])
    label[followed] = label[followed + 1]
    return label


def newest_split(
    user: Int[np.ndarray, "E"], timestamp: Int[np.ndarray, "E"], new: Bool[np.ndarray, "E"], valid: float, test: float
) -> Int8[np.ndarray, "E"]:
    """The newest share `test` of the new samples is test, the share `valid` before it valid, all other rows train.

    The new rows of a user must come after all of its others. Samples of one time and a user's first row are labelled
    as in `temporal_split`.
    """
    first = first_rows(user)
    order = np.argsort(timestamp, kind="stable")
    order = order[new[order]]
    sampled = ~first[order]
    samples = int(sampled.sum())
    label = np.zeros(len(user), np.int8)
    if not samples:
        return label
    last, before = round(samples * test), round(samples * (valid + test))
    earlier = np.cumsum(sampled) - sampled
    label[order] = (earlier >= samples - before).astype(np.int8) + (earlier >= samples - last)
    followed = np.flatnonzero(first[:-1] & ~first[1:] & new[:-1])
    label[followed] = label[followed + 1]
    return label


def future_window_split(timestamp: Int[np.ndarray, "E"], window: int, last: int | None = None) -> Int8[np.ndarray, "E"]:
    """The rows of the last `window` units of time are test, those of as long a window before it valid, all else train.

    One moment for everybody: what is known at the beginning of a window is all that a prediction may use.

    Args:
        last: the latest time of all, where these rows are some of them.
    """
    end = int(timestamp.max(initial=0) if last is None else last) + 1
    return (timestamp >= end - 2 * window).astype(np.int8) + (timestamp >= end - window).astype(np.int8)


def known_until(user: Int[np.ndarray, "E"], label: Int8[np.ndarray, "E"]) -> Int[np.ndarray, "E"]:
    """Where the history of every row ends under a future window: at its user's first row of the same window.

    A training row's history ends at the row itself. Example, labels 0 0 1 1 2 of one user: 0 1 2 2 4.
    """
    rows = np.arange(len(user))
    begins = first_rows(user)
    begins[1:] |= label[1:] != label[:-1]
    return np.where(label == 0, rows, np.maximum.accumulate(np.where(begins, rows, 0)))


def leave_one_out_split(user: Int[np.ndarray, "E"]) -> Int8[np.ndarray, "E"]:
    """A user's last row is test, the last but one valid, the rest train; fewer than three rows are all train."""
    starts = np.flatnonzero(first_rows(user))
    lengths = np.diff(np.append(starts, len(user)))
    label = np.zeros(len(user), np.int8)
    long = lengths >= 3
    ends = (starts + lengths)[long]
    label[ends - 1] = 2
    label[ends - 2] = 1
    return label


def tied_steps(user: Int[np.ndarray, "E"], timestamp: Int[np.ndarray, "E"]) -> Bool[np.ndarray, "E"]:
    """The rows whose place after the row before them, of the same user, is not decided by time."""
    tied = ~first_rows(user)
    tied[1:] &= timestamp[1:] == timestamp[:-1]
    return tied
