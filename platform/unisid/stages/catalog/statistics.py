"""A catalog's statistics: what is in its interactions. E interactions, N items."""

import numpy as np
import pyarrow as pa

from unisid.artifacts.catalog import SPLITS
from unisid.config import Json
from unisid.ops.distinct import sorted_unique
from unisid.ops.splits import first_rows, known_until, tied_steps
from unisid.raw.time_ranges import when
from unisid.stages.catalog.policies import crowds, greater_ids, taken_before
from unisid.stages.catalog.reading import Ints, Rows


def statistics(rows: Rows, split: Ints, item_ids: pa.ChunkedArray, user_ids: pa.Array, window: bool = False) -> Json:
    """Statistics of interactions ordered by user and time; with a `window`, histories end where it begins."""
    users = len(user_ids)
    user, sampled = rows.user, ~first_rows(rows.user)
    if window:
        begins = np.maximum.accumulate(np.where(sampled, 0, np.arange(len(user))))
        sampled = known_until(user, split) > begins
    samples, again = (
        np.bincount(split[chosen], minlength=len(SPLITS)).tolist()
        for chosen in (sampled, taken_before(user, rows.item, len(item_ids)))
    )
    return {
        "items": len(item_ids),
        "users": users,
        "interactions": len(rows),
        "density": len(rows) / (len(item_ids) * users),
        "tied_steps": float(tied_steps(user, rows.timestamp).sum() / max(1, sampled.sum())),
        "users_without_samples": users - len(sorted_unique(user[sampled])),
        **dict(zip(SPLITS, samples, strict=True)),
        "taken_before": dict(zip(SPLITS, again, strict=True)),
        "order": greater_ids(user, rows.item, item_ids),
        "crowds": crowds(rows.user, user_ids),
        **_clock(rows),
    }


def _clock(rows: Rows) -> Json:
    if rows.unit == "position":
        return {"time_unit": rows.unit}
    first, last = (when(time, rows.unit) for time in (rows.timestamp.min(), rows.timestamp.max()))
    return {"time_unit": rows.unit, "first_time": first, "last_time": last}
