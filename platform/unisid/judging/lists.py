"""Ranked lists of any system, read and checked: Parquet, delimited text, lines of JSON or TREC runs.

Users and items are named by the shop's ids. A row holds an entry (user, item, and a rank or a score), or a user's whole
list, best first. Columns are known under the names that RecBole, RecTools, cornac and TREC give them. E entries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.lookup import unknown
from unisid.artifacts.store import Place
from unisid.errors import ConfigError, DataError
from unisid.log import logger
from unisid.ops.distinct import sorted_unique
from unisid.raw.columns import column
from unisid.raw.delimited import Format, read_text
from unisid.raw.files import head, is_parquet, read_whole
from unisid.raw.folders import OF_A_FOLDER, Found, columns_of, find_tables, passed_over
from unisid.raw.ids import ids
from unisid.raw.json_lines import is_json, objects, text_blocks
from unisid.raw.lake import opened, table_at
from unisid.raw.rows import Numbered, Rows, listed, shown
from unisid.raw.tabular import parts_of, read_rows
from unisid.raw.texts import is_list, stored
from unisid.raw.time_ranges import Clock, Times
from unisid.raw.times import times

LOG = logger(__name__)

NAMES: Mapping[str, tuple[str, ...]] = {
    "user": ("user_id", "user", "uid", "userId", "query_id", "qid"),
    "item": ("item_id", "item", "iid", "itemId", "docid", "items", "item_ids", "recommendations", "predictions"),
    "rank": ("rank", "position"),
    "score": ("score", "prediction", "pred", "rating"),
    "time": ("time", "timestamp", "made_at"),
}
"""What a column is -> the names under which it is looked for, first ones first."""
REQUIRED = ("user", "item")
RUN = ("user", "Q0", "item", "rank", "score", "tag")
"""The six fields of a TREC run, between blanks, without a header."""
RUNS = (".run", ".trec")
"""What the name of a TREC run ends in."""
FIND = "lists must name items by the shop's ids"


@dataclass(frozen=True)
class Lists:
    """The lists of one system, all entries joined: by user, best first."""

    path: str
    user: NDArray[np.int64]
    """[E] user numbers of the catalog, ascending."""
    item: NDArray[np.int64]
    """[E] item numbers of the catalog."""
    score: NDArray[np.float64]
    """[E] larger is better; equal ones of a user are ties."""
    order: str
    """What decided the order: rank, score or row."""

    @property
    def longest(self) -> int:
        """The most entries that a user has."""
        return int(np.bincount(self.user).max(initial=0)) if len(self.user) else 0

    @property
    def users(self) -> int:
        """How many users have a list."""
        return len(sorted_unique(self.user))


def read_lists(path: str, catalog: Catalog, names: Mapping[str, str] | None = None) -> Lists:
    """The lists of a file or a folder of files, checked against the catalog.

    Args:
        names: what a column is (user, item, rank, score, time) -> its name, where it is none of the known ones.
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
    pieces = [_read(found, dict(names or {})) for found in files]
    kinds = {tuple(sorted(piece.column_names)) for piece in pieces}
    if len(kinds) > 1:
        raise DataError(f"{path}: its files have different columns; give them the same ones")
    table = pa.concat_tables(pieces)
    if not table.num_rows:
        raise DataError(f"{path}: holds no entry; it must have a list for every test user")
    user, item = _numbers(path, table, "user", catalog), _numbers(path, table, "item", catalog)
    _check_users(path, user, catalog)
    score, order = _scores(path, table)
    if "time" in table.column_names:
        _check_times(path, user, table["time"].to_numpy(), catalog)
    sort = np.lexsort((np.arange(len(user)), -score, user))
    _check_repeats(path, user, item, catalog)
    return Lists(path, user[sort], item[sort], score[sort], order)


def _read(file: Found, names: Mapping[str, str]) -> pa.Table:
    """One file's entries: user and item as text, rank or score as numbers, in the file's order."""
    path = file.path
    if path.lower().endswith(RUNS):
        return _read_run(path)
    given = [*(opened(path).schema.names if table_at(path) else _columns(path)), *columns_of(file.partition)]
    chosen = {kind: name for kind in NAMES if (name := _chosen(path, kind, names.get(kind), given))}
    found = []
    for one in parts_of("interactions", file):
        table, rows = read_rows(one, tuple(chosen.values()))
        found.append(_entries(path, table, rows, chosen))
    return pa.concat_tables(found)


def _columns(path: str) -> list[str]:
    """The names of a file's columns."""
    if is_parquet(path):
        fs, inner = Place(path).filesystem
        try:
            return list(pq.read_schema(inner, filesystem=fs).names)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path}: is not a whole Parquet file ({error}); write or fetch it again") from None
    if is_json(head(path)):
        for number, block in text_blocks(path):
            rows, _ = objects(path, number, block.split(b"\n", 1)[0].decode())
            return [name for row in rows for name in row]
        return []
    return list(read_text(path, Format(), REQUIRED, "\t" if ".tsv" in path.rpartition("/")[2] else ",").names)


def _chosen(path: str, kind: str, name: str | None, given: Sequence[str]) -> str:
    """The column of a kind; empty where there is none and none is needed."""
    if name is not None:
        if name not in given:
            raise DataError(f"{path}: no column '{shown(name)}'; it has: {listed(given)}")
        return name
    bare = {known.partition(":")[0]: known for known in given}  # RecBole writes item_id:token
    found = next((bare[known] for known in NAMES[kind] if known in bare), "")
    if not found and kind in REQUIRED:
        raise DataError(
            f"{path}: no column of the {kind}; it has: {listed(given)}; name one of them: --columns {kind}=NAME"
        )
    return found


def _entries(path: str, table: pa.Table, rows: Rows, chosen: Mapping[str, str]) -> pa.Table:
    """An entry a row, lists opened up."""
    at = {kind: f"{path}, column '{name}'" for kind, name in chosen.items()}
    items = column(table, chosen["item"], path)
    columns = {"user": ids(column(table, chosen["user"], path), at["user"], rows)}
    if "time" in chosen:
        clock = Clock("s", Times(), "write times as dates, or in {unit}")
        columns["time"] = times(column(table, chosen["time"], path), at["time"], clock, rows).cast(pa.timestamp("ns"))
    if not is_list(stored(items.type)):
        columns["item"] = ids(items, at["item"], rows)
        for kind in ("rank", "score"):
            if kind in chosen:
                columns[kind] = _numbers_of(column(table, chosen[kind], path), at[kind], rows)
        return pa.table(columns)
    lists = items.combine_chunks()
    parents = pc.list_parent_indices(lists)
    taken = {kind: values.take(parents) for kind, values in columns.items()}
    return pa.table(
        taken | {"item": ids(pa.chunked_array([pc.list_flatten(lists)]), at["item"], Numbered(noun="entry"))}
    )


def _numbers_of(values: pa.ChunkedArray, where: str, rows: Rows) -> pa.ChunkedArray:
    """A rank or a score; raises DataError where one is absent or no number."""
    try:
        numbers = values.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{where}: must hold numbers ({shown(error)})") from None
    wrong = pc.fill_null(pc.is_nan(numbers), True)
    if pc.any(wrong).as_py():
        raise DataError(f"{where}, {rows.at(pc.index(wrong, True).as_py())}: must be a number, is absent or NaN")
    return numbers


def _read_run(path: str) -> pa.Table:
    """A TREC run; its score decides, as it does for trec_eval."""
    users, items, scores = [], [], []
    for number, line in enumerate(read_whole(path).decode("utf8", "replace").splitlines(), 1):
        fields = line.split()
        if len(fields) == len(RUN):
            users.append(fields[0])
            items.append(fields[2])
            scores.append(fields[4])
        elif fields:
            raise DataError(f"{path}, line {number}: has {len(fields)} fields, a TREC run has six: {' '.join(RUN)}")
    columns = {"user": pa.array(users, pa.string()), "item": pa.array(items, pa.string())}
    score = _numbers_of(pa.chunked_array([pa.array(scores, pa.string())]), f"{path}, field 'score'", Numbered())
    return pa.table(columns | {"score": score})


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


def _check_repeats(path: str, user: NDArray[np.int64], item: NDArray[np.int64], catalog: Catalog) -> None:
    _, first, counts = np.unique(user * catalog.num_items + item, return_index=True, return_counts=True)
    if (counts > 1).any():
        entry = first[np.argmax(counts > 1)]
        raise DataError(
            f"{path}: {int((counts > 1).sum()):,} items stand twice in a list, such as "
            f"'{catalog.item_ids[item[entry]]}' for user '{catalog.user_ids[user[entry]]}'; each may stand once"
        )


def _check_times(path: str, user: NDArray[np.int64], made: NDArray[Any], catalog: Catalog) -> None:
    """Raises DataError where a list was made when what it predicts had happened."""
    unit = catalog.record.counts.get("time_unit", "s")
    if unit == "position":
        raise DataError(f"{path}: has times, and {catalog.record.address} knows only an order; leave the column out")
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
    """What orders entries, larger first: the rank where there is one, else the score, else the order of the rows."""
    if "rank" in table.column_names:
        if (least := pc.min(table["rank"]).as_py()) < 0:
            raise DataError(f"{path}: has the rank {least:g}; ranks count from 0 or 1, the best first: is it a score?")
        return -table["rank"].to_numpy(), "rank"
    if "score" in table.column_names:
        return table["score"].to_numpy(), "score"
    return -np.arange(table.num_rows, dtype=np.float64), "row"
