"""Ranked lists of any system, read and checked: tables, TREC runs, and lists in the order of a file of users.

Users and items are named by the shop's ids, or items by semantic ids of an index. A row holds an entry (user, item, and
a rank or a score), or a user's whole list, best first. E entries.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.lookup import unknown
from unisid.errors import ConfigError, DataError
from unisid.judging.items_of_ids import NONE, ItemsOfIds
from unisid.judging.json_lists import is_answers, is_by_user, read_answers, read_by_user
from unisid.judging.predictions import is_prediction, read_predictions
from unisid.judging.runs import is_run, read_run
from unisid.judging.tables import NAMES, read_table
from unisid.log import logger
from unisid.ops.distinct import sorted_unique
from unisid.raw.folders import OF_A_FOLDER, Found, find_tables, passed_over
from unisid.raw.lake import table_at
from unisid.raw.rows import listed

LOG = logger(__name__)

PICKLES = (".pkl", ".pickle")
FIND = "lists must name items by the shop's ids, or by semantic ids of an index that is given: --ids FILE"


@dataclass(frozen=True)
class Lists:
    """The lists of one system, all entries joined: by user, best first."""

    path: str
    user: NDArray[np.int64]
    """[E] user numbers of the catalog, ascending."""
    item: NDArray[np.int64]
    """[E] item numbers of the catalog; -1 for a semantic id that no item has."""
    score: NDArray[np.float64]
    """[E] larger is better; equal ones of a user are ties."""
    order: str
    """What decided the order: rank, score or row."""
    most_ids: int | None = None
    """The most semantic ids of a list, where lists are of these; None where they are of items."""
    sample: NDArray[np.int64] | None = None
    """[E] the test sample that an entry is for, ascending; None where a user's list serves all of the user's."""

    @property
    def longest(self) -> int:
        """The most entries of a list, as they were written."""
        if self.most_ids is not None:
            return self.most_ids
        return int(np.bincount(self.user if self.sample is None else self.sample).max(initial=0))

    @property
    def users(self) -> int:
        """How many users have a list."""
        return len(sorted_unique(self.user))


def read_lists(
    path: str,
    catalog: Catalog,
    names: Mapping[str, str] | None = None,
    spelled: ItemsOfIds | None = None,
    users: str = "",
) -> Lists:
    """The lists of a file or a folder of files, checked against the catalog.

    Args:
        names: what a column is (user, item, rank, score, time) -> its name, where it is none of the known ones.
        spelled: whose semantic ids stand for items; None for the shop's ids. Items that share one are ties.
        users: a file of the users of lists that name none.
    Raises:
        DataError: for a file that is no table of lists; for users without a test sample, items that the catalog lacks,
            an item twice in one list, scores that are NaN, and lists made at or after the time of what they predict.
        ConfigError: for a column of another kind.
    """
    for kind in names or {}:
        if kind not in NAMES:
            raise ConfigError(f"columns: '{kind}' is no kind of column; they are {', '.join(NAMES)}")
    files = find_tables("lists", path)
    for over in passed_over({"lists": files}).values():
        LOG.warning(f"{path}: the folder holds what is not read: {listed(over)}; {OF_A_FOLDER}")
    pieces = [_read(found, dict(names or {}), users, catalog) for found in files]
    kinds = {tuple(sorted(piece.column_names)) for piece in pieces}
    if len(kinds) > 1:
        raise DataError(f"{path}: its files have different columns; give them the same ones")
    table = _listed(path, pa.concat_tables(pieces))
    if not table.num_rows:
        raise DataError(f"{path}: holds no entry; it must have a list for every test user")
    user = _numbers(path, table, "user", catalog)
    _check_users(path, user, catalog)
    sample = _samples(path, table, user, catalog, spelled)
    score, order = _scores(path, table)
    if "time" in table.column_names:
        _check_times(path, user, table["time"].to_numpy(), catalog)
    most_ids = None
    if spelled is None:
        item = _numbers(path, table, "item", catalog)
    else:
        most_ids = int(np.bincount(user if sample is None else sample).max())
        entry, item = spelled.read(path, table["item"])
        user, score = user[entry], score[entry]
        sample = None if sample is None else sample[entry]
        if strange := int((item == NONE).sum()):
            LOG.info(f"{path}: {strange:,} of {table.num_rows:,} semantic ids are no item's; they keep their places")
    key = user if sample is None else sample
    _check_repeats(path, user, key, item, catalog)
    sort = np.lexsort((np.arange(len(user)), -score, key))
    return Lists(path, user[sort], item[sort], score[sort], order, most_ids, None if sample is None else sample[sort])


def _read(file: Found, names: Mapping[str, str], users: str, catalog: Catalog) -> pa.Table:
    """One file's entries: user and item as text, rank or score as numbers, in the file's order."""
    if file.path.lower().endswith(PICKLES):
        raise DataError(
            f"{file.path}: is a pickle, which runs whatever it holds when it is read; write a table or a tensor of it "
            "where it was made: docs/howto/judge.md has the line"
        )
    if table_at(file.path) is not None:
        return read_table(file, names, catalog.user_ids)
    if is_prediction(file.path):
        return read_predictions(file.path, users)
    if is_run(file.path):
        return read_run(file.path)
    if not names and is_by_user(file.path, catalog.user_ids):
        return read_by_user(file.path)
    if not names and is_answers(file.path):
        return read_answers(file.path)
    return read_table(file, names, catalog.user_ids)


def _listed(path: str, table: pa.Table) -> pa.Table:
    """The entries whose score is not -inf, by which RecBole marks what is not recommended: past items and padding."""
    if "score" not in table.column_names:
        return table
    found = table.filter(pc.greater(table["score"], -np.inf))
    if struck := table.num_rows - found.num_rows:
        LOG.info(f"{path}: {struck:,} entries have the score -inf and are no part of their lists")
    return found


def _numbers(path: str, table: pa.Table, kind: str, catalog: Catalog) -> NDArray[np.int64]:
    """The catalog's numbers of users or items; raises DataError for one that it lacks."""
    known = catalog.user_ids if kind == "user" else catalog.item_ids
    found = pc.index_in(table[kind], value_set=known).combine_chunks()
    if found.null_count:
        strange = table[kind].filter(pc.is_null(found))
        error = unknown(
            kind, strange[0].as_py(), known, catalog, FIND if kind == "item" else "lists must name its users"
        )
        raise DataError(f"{path}: {error} ({found.null_count:,} such entries)")
    numbers: NDArray[np.int64] = found.to_numpy().astype(np.int64)
    return numbers


def _check_users(path: str, user: NDArray[np.int64], catalog: Catalog) -> None:
    tested = np.zeros(catalog.num_users, bool)
    tested[catalog.user[catalog.samples(TEST)]] = True
    others = np.unique(user[~tested[user]])
    if len(others):
        raise DataError(
            f"{path}: {len(others):,} users have no test sample in {catalog.record.address}, such as "
            f"'{catalog.user_ids[others[0]]}'; give lists of its test users only (it has {int(tested.sum()):,})"
        )


def _samples(
    path: str, table: pa.Table, user: NDArray[np.int64], catalog: Catalog, spelled: ItemsOfIds | None
) -> NDArray[np.int64] | None:
    """The test sample that each entry is for, where users have several lists: in the order of time, one for each.

    Raises:
        DataError: a user has neither one list nor one for each test sample, or lists were to find other targets.
    """
    if "lists" not in table.column_names:
        return None
    rows = catalog.samples(TEST)
    counts = np.bincount(catalog.user[rows], minlength=catalog.num_users)
    lists, place = table["lists"].to_numpy(), table["place"].to_numpy()
    fits = lists == counts[user]
    if not fits.all() and lists.max() > 1:
        first = np.argmin(fits)
        raise DataError(
            f"{path}: user '{catalog.user_ids[user[first]]}' has {lists[first]} lists and {counts[user[first]]} test "
            f"samples in {catalog.record.address}; must have a list for each, the oldest first, or every user exactly "
            "one"
        )
    sample = (np.cumsum(counts) - counts)[user] + place
    if "target" in table.column_names and spelled is not None:
        target = catalog.item[rows][sample[fits]]
        if wrong := spelled.unlike(table["target"].filter(pa.array(fits)), target):
            text, item = wrong
            raise DataError(
                f"{path}: has lists that were to find other targets than the test samples of {catalog.record.address}, "
                f"such as '{text:.60}' where that has '{catalog.item_ids[item]}': another order of users, ids or split"
            )
    return sample if lists.max() > 1 else None


def _check_repeats(
    path: str, user: NDArray[np.int64], key: NDArray[np.int64], item: NDArray[np.int64], catalog: Catalog
) -> None:
    real = np.flatnonzero(item != NONE)
    pairs = key[real] * catalog.num_items + item[real]
    _, first, counts = np.unique(pairs, return_index=True, return_counts=True)
    if (counts > 1).any():
        entry = real[first[np.argmax(counts > 1)]]
        raise DataError(
            f"{path}: {int((counts > 1).sum()):,} items stand twice in a list, such as "
            f"'{catalog.item_ids[item[entry]]}' for user '{catalog.user_ids[user[entry]]}'; each may stand once"
        )


def _check_times(path: str, user: NDArray[np.int64], made: NDArray[Any], catalog: Catalog) -> None:
    """Raises DataError where a list was made when what it predicts had happened."""
    unit = catalog.record.counts.get("time_unit", "s")
    if unit == "position":
        raise DataError(f"{path}: has times, and {catalog.record.address} has an order alone; leave the column out")
    rows = catalog.samples(TEST)
    earliest = np.full(catalog.num_users, np.iinfo(np.int64).max)
    np.minimum.at(earliest, catalog.user[rows], catalog.timestamp[rows])
    late = made.astype(f"datetime64[{unit}]").astype(np.int64) >= earliest[user]
    if late.any():
        raise DataError(
            f"{path}: {len(np.unique(user[late])):,} lists hold the future: they were made at or after the time of the "
            f"interaction that they predict, such as that of user '{catalog.user_ids[user[np.argmax(late)]]}'"
        )


def _scores(path: str, table: pa.Table) -> tuple[NDArray[np.float64], str]:
    """Keys that order entries, larger first: by rank where there is one, else by score, else by row."""
    if "rank" in table.column_names:
        if (least := pc.min(table["rank"]).as_py()) < 0:
            raise DataError(f"{path}: has the rank {least:g}; ranks count from 0 or 1, the best first: is it a score?")
        return -table["rank"].to_numpy(), "rank"
    if "score" in table.column_names:
        return table["score"].to_numpy(), "score"
    return -np.arange(table.num_rows, dtype=np.float64), "row"
