"""Checks of a recommender's arguments: histories, item subsets, counts and texts.

n histories, N items.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Shaped
from numpy.typing import ArrayLike

from unisid.decoding import beam
from unisid.errors import ConfigError, DataError

BEAM, WIDE = 50, (100, 50)
"""Beams where the caller names none: of an index of few codes a level, and of many codes."""
MANY = 256
"""Codes of the first level from which on 50 prefixes of it prove too little (the log, 2026-11-29: 19% of the users, 100
prove 96%)."""
NO_ARRAY = (TypeError, ValueError, RuntimeError)
"""What numpy and torch raise for what is no array in this computer's memory."""


def usual_beams(sizes: Sequence[int]) -> beam.Beam:
    """The beams of a search over an index whose levels have so many codes, where the caller names none."""
    return WIDE if sizes[0] >= MANY else BEAM


def history_rows(histories: Iterable[ArrayLike], num_items: int) -> list[Int[np.ndarray, " _"]]:
    """The histories as arrays of item numbers.

    Raises:
        DataError: for what is no list of histories, or with the row's number for what is no history: one that is
            empty, is not one-dimensional, or holds anything but known item numbers.
    """
    return [
        item_numbers(row, num_items, f"history {number}")
        for number, row in enumerate(_rows(histories, "histories", "lists of item numbers: [[3, 7], [12]]"))
    ]


def item_numbers(row: Any, num_items: int, where: str) -> Int[np.ndarray, " T"]:
    """One row of item numbers, of any integer type; it holds at least one.

    Raises:
        DataError: as `history_rows`.
    """
    values = _one_dimensional(row, where)
    if not len(values):
        raise DataError(f"{where}: is empty; a history needs at least one item")
    if values.dtype == object or isinstance(row, list | tuple):  # numpy makes [True, 2] the integers 1 and 2
        for value in row:
            if not _is_integer(value):
                raise DataError(f"{where}: {value!r} is not an item number; must be integers")
    elif values.dtype.kind not in "iu":
        raise DataError(f"{where}: {values[0]} is of type {values.dtype}; item numbers must be integers")
    wrong = values[(values < 0) | (values >= num_items)]
    if len(wrong):
        raise DataError(f"{where}: no item {wrong[0]}; items are numbered 0 to {num_items - 1}")
    return values.astype(np.int64)


def item_subset(allowed: ArrayLike | None, num_users: int, num_items: int) -> Bool[np.ndarray, "*n {num_items}"] | None:
    """The items that may be recommended: [N] for all histories alike, or [n, N] with a row for each.

    Raises:
        ConfigError: for entries that are not True or False, or another shape.
    """
    if allowed is None:
        return None
    shapes = f"({num_items},), an entry an item, or ({num_users}, {num_items}), a row a history"
    if (labels := _labels(allowed)) is not None:
        raise ConfigError(
            f"recommender: allowed has rows or columns that are not labelled 0, 1, 2, ... (the first is "
            f"{labels!r:.60}), and items are counted by place; must be in the order of the items: allowed.to_numpy()"
        )
    try:
        mask = _array(allowed)
    except NO_ARRAY as error:
        raise ConfigError(f"recommender: allowed is no array ({error}); must be of True and False, {shapes}") from error
    if mask.dtype != np.bool_:
        raise ConfigError(
            f"recommender: allowed has entries of type {mask.dtype}; must be True or False (bool), {shapes}"
        )
    if mask.shape not in ((num_items,), (num_users, num_items)):
        raise ConfigError(f"recommender: allowed has the shape {mask.shape}; must be {shapes}")
    return np.ascontiguousarray(mask)  # torch takes no view that runs backwards


def beams(k: Any, beam_width: Any, num_items: int, unsaid: beam.Beam = BEAM) -> tuple[int, beam.Beam]:
    """k and the beam of a search for k items: the caller's width, or widths by level, or the larger of k and `unsaid`.

    Raises:
        ConfigError: for a k or a width that is no integer, a k outside 1 to the number of items, a beam smaller than
            k, or one that no memory holds.
    """
    if not _is_integer(k):
        raise ConfigError(f"recommender: k is {k!r}; must be an integer, from 1 up")
    by_level = isinstance(beam_width, list | tuple)
    if beam_width is not None and not all(map(_is_integer, beam_width if by_level else [beam_width])):
        raise ConfigError(
            f"recommender: beam_width is {beam_width!r}; must be an integer, from 1 up, or one for each level"
        )
    width = beam.at_least(unsaid, int(k))
    if beam_width is not None:
        width = tuple(map(int, beam_width)) if by_level else int(beam_width)
    beam.check(int(k), width, num_items)
    if beam.widest(width) > (most := max(num_items, beam.MOST_BEAMS)):
        raise ConfigError(f"recommender: beam_width is {width} with {num_items} items; must be at most {most}")
    return int(k), width


def claim(value: Any, name: str) -> bool:
    """A flag, checked to be True or False.

    Raises:
        ConfigError: for anything else, such as the text "False", which Python takes for true.
    """
    if not isinstance(value, bool | np.bool_):
        raise ConfigError(f"recommender: {name} is {value!r}; must be True or False")
    return bool(value)


def worded(texts: Iterable[str]) -> list[str]:
    """The texts as a list.

    Raises:
        DataError: for one text instead of a list, or an entry that is no text.
    """
    rows = _rows(texts, "texts", 'texts: ["red lamp"]')
    for number, text in enumerate(rows):
        if not isinstance(text, str):
            raise DataError(f"text {number}: {text!r} is not a text; must be words, such as 'red lamp'")
    return rows


def _rows(given: Any, where: str, example: str) -> list[Any]:
    if isinstance(given, str | bytes | Mapping):
        raise DataError(f"{where}: is {given!r:.60}; must be a list of {example}")
    try:
        return list(given)
    except TypeError:
        raise DataError(f"{where}: is {given!r:.60}; must be a list of {example}") from None


def _one_dimensional(row: Any, where: str) -> Shaped[np.ndarray, " T"]:
    right = "must be a list of item numbers, oldest first: [3, 7]"
    if isinstance(row, str | bytes):
        raise DataError(f"{where}: is the text {row!r:.60}; {right}")
    try:
        values = _array(row)
    except NO_ARRAY as error:
        raise DataError(f"{where}: {row!r:.60} cannot be read as an array ({error}); {right}") from error
    if values.ndim != 1:
        what = f"has the shape {values.shape}" if values.ndim else f"is {row!r:.60}"
        raise DataError(f"{where}: {what}; {right}")
    return values


def _array(given: Any) -> Shaped[np.ndarray, "..."]:
    """The values as an array; raises one of `NO_ARRAY` where they are none, or where some of them are masked."""
    if np.ma.is_masked(given):
        raise ValueError("some of its entries are masked")
    return np.asarray(given)


def _labels(allowed: Any) -> Any:
    """The first label of a table's axis that does not count places from 0; None where all do, or there are none."""
    for axis in ("index", "columns"):
        labels: Any = getattr(allowed, axis, None)
        if not hasattr(labels, "to_numpy"):  # a list's `index` is a method
            continue
        for place, label in enumerate(labels):
            if label != place:
                return label
    return None


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool | np.bool_ | np.timedelta64)
