"""The protocols: which split every interaction belongs to. E interactions, by user and time."""

from typing import Literal

from unisid.artifacts.catalog import FUTURE_WINDOW
from unisid.errors import DataError
from unisid.ops.splits import future_window_split, leave_one_out_split, temporal_split
from unisid.raw.time_ranges import PER_SECOND, Unit
from unisid.stages.catalog.reading import Ints, Rows

DAY = 86_400
"""Seconds."""


def split_of(protocol: str, future_days: int, rows: Rows) -> Ints:
    """The label of every interaction [E].

    Args:
        future_days: of a window under `future-window`; 0 for a tenth of the time that the interactions span.
    Raises:
        DataError: two windows leave nothing before them.
    """
    if protocol != FUTURE_WINDOW:
        temporal = protocol == "temporal"
        return temporal_split(rows.user, rows.timestamp) if temporal else leave_one_out_split(rows.user)
    window = window_of(future_days, int(rows.timestamp.min()), int(rows.timestamp.max()), rows.unit)
    return future_window_split(rows.timestamp, window)


def window_of(future_days: int, first: int, last: int, unit: Unit | Literal["position"]) -> int:
    """How long a window is, in the unit of the times, the first and the last of which are given.

    Raises:
        DataError: two windows leave nothing before them.
    """
    span, day = last - first + 1, DAY * PER_SECOND[unit]
    window = future_days * day or max(1, span // 10)
    if 2 * window >= span:
        raise DataError(
            f"catalog.future_days: two windows of {window / day:g} days leave nothing to learn from before them: the "
            f"interactions span {span / day:.1f} days; must be less than half of that"
        )
    return window
