"""The protocols: which split every interaction belongs to. E interactions, by user and time."""

from unisid.artifacts.catalog import FUTURE_WINDOW
from unisid.errors import DataError
from unisid.ops.splits import future_window_split, leave_one_out_split, temporal_split
from unisid.raw.time_ranges import PER_SECOND
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
    span, day = int(rows.timestamp.max() - rows.timestamp.min()) + 1, DAY * PER_SECOND[rows.unit]
    window = future_days * day or max(1, span // 10)
    if 2 * window >= span:
        raise DataError(
            f"catalog.future_days: two windows of {window / day:g} days leave nothing to learn from before them: the "
            f"interactions span {span / day:.1f} days; must be less than half of that"
        )
    return future_window_split(rows.timestamp, window)
