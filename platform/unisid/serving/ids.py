"""Checks the shop's ids in a request and maps them to item numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from unisid.errors import DataError
from unisid.printable import printable

EXAMPLES = 3
"""Ids that a problem names."""


def text_of(value: Any, where: str) -> str:
    """A value that is text; raises DataError."""
    if not isinstance(value, str):
        raise DataError(f"{where}: is {shown(value)}; must be text")
    return value


def ids_of(value: Any, where: str) -> list[str]:
    """A value that is a list of item ids; raises DataError."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise DataError(f"{where}: is {shown(value)}; must be a list of item ids")
    return [str(item_id) for item_id in value]


def item_numbers(value: Any, item_of: Mapping[str, int]) -> tuple[Int[np.ndarray, " T"], str]:
    """The items of a history that the catalogue has, and which were skipped; raises DataError where none is left."""
    given = ids_of(value, "history")
    if not given:
        raise DataError("history: is empty; must have at least one item id")
    unknown = [item_id for item_id in given if item_id not in item_of]
    if len(unknown) == len(given):
        raise DataError(f"history: has no item of the catalogue of {len(item_of)}, only {some(unknown)}; must have one")
    skipped = f"history: skipped what is not in the catalogue: {some(unknown)}" if unknown else ""
    return np.array([item_of[item_id] for item_id in given if item_id in item_of], np.int64), skipped


def some(item_ids: Sequence[str]) -> str:
    """The first of some ids, and how many more there are."""
    more = f" and {len(item_ids) - EXAMPLES} more" if len(item_ids) > EXAMPLES else ""
    return ", ".join(f"'{printable(item_id)}'" for item_id in item_ids[:EXAMPLES]) + more


def shown(value: Any) -> str:
    """A value as error messages show it."""
    is_missing = value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NA
    return "missing" if is_missing else repr(value)[:60]
