"""Lists as rows of a matrix: a user a row, and the items in columns that are called by their places.

So pandas writes the array of items that RecBole gives, with the users as its index: the columns are 0, 1, 2, ...
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unisid.raw.columns import column
from unisid.raw.ids import ids
from unisid.raw.texts import flat, is_text, stored

ITEMS = "items"
"""The column of the lists."""


def places(given: Sequence[str]) -> list[str]:
    """The columns that are called 0, 1, 2, ... or 1, 2, 3, ..., in this order; none where one of these is missing."""
    found = sorted((name for name in given if name.isdecimal()), key=int)
    first = int(found[0]) if found else 0
    whole = first in (0, 1) and [int(name) for name in found] == list(range(first, first + len(found)))
    return found if whole else []


def index_of(given: Sequence[str], ranked: Sequence[str]) -> str | None:
    """The one column beside those of the places, where it has a name (Parquet's has); None where there is no such."""
    others = [name for name in given if name not in ranked]
    return others[0] if len(others) == 1 and others[0] else None


def in_lists(table: pa.Table, ranked: Sequence[str], path: str) -> pa.Table:
    """The other columns, and a list a row of what stands at the places; a place without an item is passed over."""
    rows, texts = [], []
    for name in ranked:
        where = f"{path}, column '{name}'"
        values = flat(column(table, name, path), where)
        there = pc.is_valid(values)
        if is_text(stored(values.type)):
            there = pc.and_(there, pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(values), ""), False))
        rows.append(np.flatnonzero(there.to_numpy()))
        texts.append(ids(values.filter(there), where).combine_chunks())
    row = np.concatenate(rows)
    items = pa.concat_arrays(texts).take(pa.array(np.argsort(row, kind="stable")))
    ends = np.cumsum(np.bincount(row, minlength=table.num_rows))
    lists = pa.LargeListArray.from_arrays(pa.array(np.r_[0, ends], pa.int64()), items)
    return table.drop_columns(list(ranked)).append_column(ITEMS, lists)
