"""Rows of codes in lexicographic order: keys to group and sort them by, and the rows below a prefix.

For any number of levels and unequal sizes: no product of sizes has to fit an integer. n rows, l levels, m rows in
ascending order, q questions.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int

KEYS = 1 << 63
"""Keys are below it."""


def row_keys(codes: Int[np.ndarray, "n l"]) -> Int[np.ndarray, " n"]:
    """A number for every row: equal where rows are equal, smaller where a row comes first in lexicographic order.

    Codes are digits, as many as fit 63 bits; then the prefixes so far are numbered from 0 and the next digits follow.
    """
    keys, below = np.zeros(len(codes), np.int64), 1
    for column in codes.T:
        size = int(column.max(initial=0)) + 1
        if below * size > KEYS:
            keys, below = np.unique(keys, return_inverse=True)[1], len(keys)
        keys, below = keys * size + column, below * size
    return keys


def lexicographic_order(codes: Int[np.ndarray, "n l"]) -> Int[np.ndarray, " n"]:
    """The rows in ascending order; equal ones as they stand.

    Where a key and a row's number fit 63 bits together, they are sorted as one number: 10^7 rows of 3 levels in 1.0
    s of a core, where a sort of their indices by key took 1.6.
    """
    keys, bits = row_keys(codes), len(codes).bit_length()
    if int(keys.max(initial=0)).bit_length() + bits > KEYS.bit_length() - 1:
        return np.argsort(keys, kind="stable")
    packed = (keys << bits) | np.arange(len(codes))
    packed.sort()
    packed &= (1 << bits) - 1
    return packed


def narrowed(
    column: Int[np.ndarray, " m"], low: Int[np.ndarray, " q"], high: Int[np.ndarray, " q"], codes: Int[np.ndarray, " q"]
) -> tuple[Int[np.ndarray, " q"], Int[np.ndarray, " q"]]:
    """Where each code lies in column[low:high], which must ascend: its first row, and the one after its last."""
    return _bound(column, low, high, codes, np.less), _bound(column, low, high, codes, np.less_equal)


def _bound(column: Any, low: Any, high: Any, codes: Any, passes: Callable[[Any, Any], Any]) -> Any:
    """The first row of low to high that does not pass, by halving all ranges at once."""
    while (open_ := low < high).any():
        middle = (low + high) // 2
        goes_on = open_ & passes(column[np.where(open_, middle, 0)], codes)
        low, high = np.where(goes_on, middle + 1, low), np.where(open_ & ~goes_on, middle, high)
    return low
