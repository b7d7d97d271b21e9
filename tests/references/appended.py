"""A catalog's interactions and a day's, put together with all of them in memory: the twin of `catalog.joining`."""

import numpy as np

from unisid.artifacts.catalog import Catalog, write_interactions
from unisid.ops.splits import newest_split
from unisid.raw.time_ranges import rescaled
from unisid.stages.catalog.numbering import Ties, time_order
from unisid.stages.catalog.policies import heaviest, repeats
from unisid.stages.catalog.reading import Rows
from unisid.stages.catalog.statistics import statistics


def write_joined(out, config, base: Catalog, unit, day: Rows, weight, ids):
    """As `joining.write_joined`."""
    items, users = ids
    before = rescaled(base.timestamp, unit, day.unit)
    user, item = np.append(base.user, day.user), np.append(base.item, day.item)
    rows = Rows(user.astype(np.int64), item.astype(np.int64), np.append(before, day.timestamp), day.unit)
    new = np.arange(len(rows)) >= len(before)
    weight = None if weight is None else np.append(base.weight, weight)
    again = repeats(rows.user, rows.item, rows.timestamp) & new
    if config.duplicate_rows == "drop":
        if weight is not None:
            weight = weight[heaviest(rows.user, rows.item, rows.timestamp, weight)][~again]
        rows, new = rows.where(~again), new[~again]
    ties = Ties.of(users, items, config.seed) if config.ties == "seed" else None
    order = time_order(rows.user, rows.item, rows.timestamp, ties)
    rows, new = rows.where(order), new[order]
    newest = new & (rows.timestamp > before.max())
    split = newest_split(rows.user, rows.timestamp, newest, config.valid_share, config.test_share)
    write_interactions(out, rows.user, rows.item, rows.timestamp, split, None if weight is None else weight[order])
    added = {"interactions": int(new.sum()), "late": int((new & ~newest).sum()), "repeated": int(again.sum())}
    return statistics(rows, split, items, users) | {"extension": added}
