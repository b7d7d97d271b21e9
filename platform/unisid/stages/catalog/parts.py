"""One table out of the parts that workers read: in the order of the files, with the same columns, or an error."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unisid.datasets import Part
from unisid.errors import DataError
from unisid.raw.rows import listed, unread_of, with_unread
from unisid.raw.time_ranges import in_one_unit, with_unit

ROWS = b"rows"
"""How many rows of a table are of which part."""


def numbered(part: Part, raw: pa.Table, columns: Mapping[str, Any]) -> pa.Table:
    """A part's table as a worker returns it: new columns, the number of the part, and the account of unread rows."""
    table = pa.table(dict(columns))
    unread = [json.dumps(unread_of(raw))] + [None] * (table.num_rows - 1)
    number = pa.array(np.full(table.num_rows, part["number"], np.int32))
    return table.append_column("part", number).append_column(
        "unread", pa.array(unread[: table.num_rows], pa.large_string())
    )


def joined(table: str, pieces: Sequence[pa.Table], paths: Mapping[int, str]) -> pa.Table:
    """The parts in their order, of which some may have a column in another place, or nothing in it.

    Args:
        table: what errors call it: items, interactions.
        paths: the file of each part, by its number.
    Raises:
        DataError: where a file lacks a text column that another one has.
    """
    found = sorted((piece for piece in pieces if piece.num_rows), key=lambda piece: piece["part"][0].as_py())
    if not found:
        raise DataError(f"catalog: the raw data hold no {table}; at least one row of them is needed")
    all_names = dict.fromkeys(name for piece in found for name in piece.column_names if name not in ("part", "unread"))
    holders = {name: next((_path(piece, paths) for piece in found if _holds(piece, name)), None) for name in all_names}
    names = [name for name, path in holders.items() if path is not None]
    unread: dict[str, str] = {name: "no values" for name, path in holders.items() if path is None}
    aligned = []
    for piece in found:
        left, complete = json.loads(piece["unread"][0].as_py())
        for name in [name for name in names if name not in piece.column_names and (complete or name in left)]:
            what = f"holds {left[name]} in column '{name}'" if name in left else f"has no column '{name}'"
            raise DataError(
                f"{_path(piece, paths)}: {what}, which is text in {holders[name]}; give all files of the "
                f"{table} the same columns, or name those to keep in catalog.dataset.columns"
            )
        unread |= {name: kind for name, kind in left.items() if name not in unread}
        aligned.append(_with_columns(piece, names))
    aligned = in_one_unit(aligned) if table == "interactions" else aligned  # an item's column of that name is text
    whole = with_unread(pa.concat_tables(aligned).unify_dictionaries().combine_chunks(), unread)
    return with_rows(whole, [(piece["part"][0].as_py(), piece.num_rows) for piece in found])


def like(piece: pa.Table, table: pa.Table) -> pa.Table:
    """A part with the columns of a `joined` table, and its times in that table's unit."""
    found = _with_columns(piece, table.column_names)
    kind = table["timestamp"].type if "timestamp" in table.column_names else pa.null()
    return with_unit(found, kind.unit) if pa.types.is_timestamp(kind) else found


def with_rows(table: pa.Table, rows: Sequence[tuple[int, int]]) -> pa.Table:
    """The table, which says that it has so many rows of each part: number, rows."""
    return table.replace_schema_metadata({**table.schema.metadata, ROWS: json.dumps(rows)})


def part_of(table: pa.Table, row: int) -> tuple[int, int]:
    """The number of the part that a row of a `joined` table is of, and its place in there."""
    parts = json.loads(table.schema.metadata[ROWS])
    ends = np.cumsum([rows for _, rows in parts])
    place = int(np.searchsorted(ends, row, side="right"))
    return parts[place][0], row - int(ends[place]) + parts[place][1]


def unread_in_words(unread: Mapping[str, str]) -> str:
    """Columns that were left out, and what they hold where that is known: 'price (double), event'."""
    return listed(f"{name} ({kind})" if kind else name for name, kind in unread.items())


def _with_columns(piece: pa.Table, names: Sequence[str]) -> pa.Table:
    return pa.table({name: _column(piece, name) for name in names})


def _path(piece: pa.Table, paths: Mapping[int, str]) -> str:
    return paths[piece["part"][0].as_py()]


def _holds(piece: pa.Table, name: str) -> bool:
    return name in piece.column_names and not pa.types.is_null(piece[name].type)


def _column(piece: pa.Table, name: str) -> Any:
    """A column; empty texts where the part has nothing in it."""
    if not _holds(piece, name):
        return pa.repeat(pa.scalar("", pa.large_string()), piece.num_rows)
    values = piece[name]
    return pc.fill_null(values, "") if pa.types.is_large_string(values.type) else values
