"""Entries of ranked lists out of tables: Parquet, delimited text with or without a header, or lines of JSON.

Columns are known under the names that RecBole, RecTools, cornac and TREC give them, or hold the item of a place in the
list each (`wide.py`). Rows without a header are a user, an item and, if there is a third, a score, as programs write
them that save what a recommender in cornac returns.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unisid.artifacts.store import Place
from unisid.errors import DataError
from unisid.judging.wide import ITEMS, in_lists, index_of, places
from unisid.raw.columns import column
from unisid.raw.delimited import Format, read_text
from unisid.raw.files import head, is_parquet
from unisid.raw.folders import Found, columns_of
from unisid.raw.ids import ids
from unisid.raw.json_lines import is_json, objects, text_blocks
from unisid.raw.lake import opened, table_at
from unisid.raw.rows import Numbered, Rows, listed, shown
from unisid.raw.tabular import PLAIN, parts_of, read_rows
from unisid.raw.texts import is_list, stored
from unisid.raw.time_ranges import Clock, Times
from unisid.raw.times import times

NAMES: Mapping[str, tuple[str, ...]] = {
    "user": ("user_id", "user", "uid", "userId", "query_id", "qid"),
    "item": ("item_id", "item", "iid", "itemId", "docid", "items", "item_ids", "recommendations", "predictions"),
    "rank": ("rank", "position"),
    "score": ("score", "prediction", "pred", "rating"),
    "time": ("time", "timestamp", "made_at"),
}
"""What a column is -> the names under which it is looked for, first ones first."""
REQUIRED = ("user", "item")
BARE = ("user", "item", "score")
"""What columns without a header are."""


def read_table(file: Found, names: Mapping[str, str], users: pa.Array) -> pa.Table:
    """One file's entries: user and item as text, rank or score as numbers, in the file's order.

    Args:
        names: what a column is -> its name, where it is none of the known ones.
        users: the ids of the catalog's users: rows whose first line begins with one have no header.
    """
    path = file.path
    given = [*columns(path), *columns_of(file.partition)]
    form = _without_header(path, given, names, users)
    ranked = [] if form or "item" in names or known_as("item", given) else places(given)
    if form:
        chosen = dict(zip(form.names, form.names, strict=True))
    elif ranked:
        index = names.get("user") or known_as("user", given) or index_of(given, ranked)
        chosen = {"user": _chosen(path, "user", index, given)}
    else:
        chosen = {kind: name for kind in NAMES if (name := _chosen(path, kind, names.get(kind), given))}
    found = []
    for one in parts_of("interactions", file):
        table, rows = read_rows(one, (*chosen.values(), *ranked), form or PLAIN)
        if ranked:
            found.append(_entries(path, in_lists(table, ranked, path), rows, chosen | {"item": ITEMS}))
        else:
            found.append(_entries(path, table, rows, chosen))
    table = pa.concat_tables(found)
    if form:
        _check_scores(path, table)
    return table


def columns(path: str) -> list[str]:
    """The names of a table's columns."""
    if table_at(path):
        return list(opened(path).schema.names)
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
    return list(read_text(path, PLAIN, REQUIRED, "\t" if ".tsv" in path.rpartition("/")[2] else ",").names)


def known_as(kind: str, given: Sequence[str]) -> str:
    """The first of some columns that is known as of a kind; empty where none is."""
    bare = {known.partition(":")[0]: known for known in given}  # RecBole writes item_id:token
    return next((bare[known] for known in NAMES[kind] if known in bare), "")


def _without_header(path: str, given: Sequence[str], names: Mapping[str, str], users: pa.Array) -> Format | None:
    """How text is read whose first line is a row; None where it names columns."""
    if names or table_at(path) or is_parquet(path) or is_json(head(path)) or not 2 <= len(given) <= len(BARE):
        return None
    if any(known_as(kind, given) for kind in REQUIRED) or users.index(given[0]).as_py() < 0:
        return None
    return Format(names=BARE[: len(given)], setting="a row without a header")


def _chosen(path: str, kind: str, name: str | None, given: Sequence[str]) -> str:
    """The column of a kind; empty where there is none and none is needed."""
    if name is not None:
        if name not in given:
            raise DataError(f"{path}: no column '{shown(name)}'; it has: {listed(given)}")
        return name
    found = known_as(kind, given)
    if not found and kind in REQUIRED:
        raise DataError(
            f"{path}: no column of the {kind}; it has: {listed(given)}; name one of them: --columns {kind}=NAME (rows "
            "without a header must be user, item and score, and begin with a user of the catalog; pandas names its "
            "index by index_label)"
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
                columns[kind] = numbers_of(column(table, chosen[kind], path), at[kind], rows)
        return pa.table(columns)
    lists = items.combine_chunks()
    parents = pc.list_parent_indices(lists)
    taken = {kind: values.take(parents) for kind, values in columns.items()}
    return pa.table(
        taken | {"item": ids(pa.chunked_array([pc.list_flatten(lists)]), at["item"], Numbered(noun="entry"))}
    )


def numbers_of(values: pa.ChunkedArray, where: str, rows: Rows) -> pa.ChunkedArray:
    """A rank or a score; raises DataError where one is absent or no number."""
    try:
        numbers = values.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{where}: must hold numbers ({shown(error)})") from None
    wrong = pc.fill_null(pc.is_nan(numbers), True)
    if pc.any(wrong).as_py():
        raise DataError(f"{where}, {rows.at(pc.index(wrong, True).as_py())}: must be a number, is absent or NaN")
    return numbers


def _check_scores(path: str, table: pa.Table) -> None:
    """Raises DataError where the third of columns without a header counts every user's rows, as a rank does."""
    if "score" not in table.column_names:
        return
    user = table["user"].combine_chunks().dictionary_encode().indices.to_numpy()
    score = table["score"].to_numpy()
    order = np.argsort(user, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(user[order]) != 0])
    sizes = np.diff(np.r_[starts, len(user)])
    place = np.arange(len(user)) - np.repeat(starts, sizes)
    if sizes.max() > 1 and any(np.array_equal(score[order], place + first) for first in (0, 1)):
        raise DataError(
            f"{path}: its third column counts each user's rows, as ranks do, and without a header it is a score, the "
            "largest first; give it a first line that names the columns, such as user_id,item_id,rank"
        )
