"""New codebooks called by the names of old ones: one assignment a level, so that items keep their codes where they can.

n items in both indexes, L levels, K codes of a level.
"""

from collections.abc import Sequence

import numpy as np
import scipy  # loads its parts on first use
from jaxtyping import Int


def names_like(
    old: Int[np.ndarray, "n L"], new: Int[np.ndarray, "n L"], sizes: Sequence[int]
) -> list[Int[np.ndarray, " _"]]:
    """By level: the name of every new code [K], a permutation, under which most items keep their old prefix.

    From the first level on, names are assigned to codes (a linear assignment) so that most items of a kept prefix keep
    this code too; among equals, so that most other items do; and a code that no item decides keeps its number.
    Example, one level: old codes 0 0 1 1, new codes 2 2 0 1: code 2 is called 0; 0 and 1 have one item of the old code
    1 each, and 1 keeps its number: names 2 1 0.
    """
    kept, names = np.ones(len(old), bool), []
    for level, size in enumerate(sizes):
        first, second = (_table(old[rows, level], new[rows, level], size) for rows in (kept, ~kept))
        worth = (first * (len(old) + 1.0) + second) * (size + 1.0) + np.eye(size)
        name = np.empty(size, np.int64)
        rows, columns = scipy.optimize.linear_sum_assignment(-worth)
        name[rows] = columns
        names.append(name)
        kept &= name[new[:, level]] == old[:, level]
    return names


def _table(old: Int[np.ndarray, " m"], new: Int[np.ndarray, " m"], size: int) -> Int[np.ndarray, "K K"]:
    """How many items have each new code (rows) and old code (columns)."""
    return np.bincount(new.astype(np.int64) * size + old, minlength=size * size).reshape(size, size)


def moved(old: Int[np.ndarray, "n L"], new: Int[np.ndarray, "n L"]) -> tuple[list[float], list[float]]:
    """By level: the share of items whose code is another; and by length: of those whose prefix is the same."""
    same, count = old == new, max(1, len(old))
    prefixes = np.logical_and.accumulate(same, axis=1)
    return [float(v) for v in (~same).sum(0) / count], [float(v) for v in prefixes.sum(0) / count]
