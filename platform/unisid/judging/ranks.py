"""From ranked lists to the rank of every test target, under both history rules.

E entries, S test samples.
"""

import numpy as np
from numpy.typing import NDArray

from unisid.artifacts.catalog import Catalog
from unisid.evaluation.ranks import Ranks
from unisid.judging.items_of_ids import NONE
from unisid.judging.lists import Lists

SAMPLES_AT_ONCE = 1 << 16


def ranks_of(lists: Lists, catalog: Catalog, rows: NDArray[np.int64]) -> tuple[Ranks, dict[str, NDArray[np.int64]]]:
    """History rule -> the targets' ranks [S], NaN where a list lacks its target; and how long the lists are [S].

    Under "excluded" what the user took before is taken out of the list, and those behind it move up. A user's list
    serves all of the user's test samples unless each has one. Equal scores count half, as everywhere. What is no item's
    keeps its place.

    Args:
        rows: the catalog's rows of the samples; all test samples where each has a list.
    """
    key, keys = (lists.user, catalog.user[rows]) if lists.sample is None else (lists.sample, np.arange(len(rows)))
    starts = np.searchsorted(key, np.arange(max(catalog.num_users, len(rows)) + 1))
    ranks = {rule: np.full(len(rows), np.nan) for rule in ("excluded", "allowed")}
    lengths = {rule: np.zeros(len(rows), np.int64) for rule in ranks}
    for begin in range(0, len(rows), SAMPLES_AT_ONCE):
        some = slice(begin, min(begin + SAMPLES_AT_ONCE, len(rows)))
        own = keys[some].astype(np.int64)
        counts = starts[own + 1] - starts[own]
        sample = np.repeat(np.arange(len(own)), counts)
        entry = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(starts[own], counts)
        taken, past = catalog.past(rows[some])
        before = np.repeat(np.arange(len(own)), past) * catalog.num_items + taken
        item, score = lists.item[entry], lists.score[entry]
        target = catalog.item[rows[some]].astype(np.int64)
        for rule in ranks:
            kept = np.ones(len(entry), bool)
            if rule == "excluded":
                kept = (item == NONE) | ~np.isin(sample * catalog.num_items + item, before)
            place = positions(sample[kept], score[kept])
            hit = item[kept] == target[sample[kept]]
            ranks[rule][begin + sample[kept][hit]] = place[hit]
            lengths[rule][some] = np.bincount(sample[kept], minlength=len(own))
    return ranks, lengths


def positions(group: NDArray[np.int64], score: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rank [E] of every entry in its group: 1 + those of a larger score + half of the others of an equal one.

    Entries lie by group, best first. Example, one group with the scores 9, 7, 7, 2: the ranks are 1, 2.5, 2.5, 4.
    """
    if not len(group):
        return np.empty(0)
    new_group = np.r_[True, group[1:] != group[:-1]]
    new_score = new_group | np.r_[True, score[1:] != score[:-1]]
    index = np.arange(len(group))
    first = np.maximum.accumulate(np.where(new_group, index, 0))  # of the group
    run = np.flatnonzero(new_score)
    size = np.diff(np.r_[run, len(group)])
    number = np.cumsum(new_score) - 1
    return 1.0 + (run[number] - first) + 0.5 * (size[number] - 1)
