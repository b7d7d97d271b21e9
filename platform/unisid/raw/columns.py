"""Typed columns out of raw tables: ids and texts, with errors that name the file, the row and the value."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

from unisid.config import did_you_mean
from unisid.errors import DataError
from unisid.raw.ids import ids
from unisid.raw.rows import Rows, listed, shown, unread_of
from unisid.raw.texts import flat, is_binary, is_list, is_text, stored, texts

NO_HINTS: Mapping[str, str] = MappingProxyType({})
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
RESERVED = {"item_id", "title", "text", "markup", "part"}


def column(table: pa.Table, name: str, where: str) -> pa.ChunkedArray:
    """A column by name. Raises DataError where it is absent, with the names there are, or there more than once."""
    require(table, [name], where)
    return table[name]


def require(table: pa.Table, wanted: Sequence[str], where: str, hints: Mapping[str, str] = NO_HINTS) -> None:
    """Raises DataError where a column is not there, with the names there are, or there more than once.

    Args:
        hints: name -> what would be right where it is missing, as the end of the error.
    """
    known = [*table.column_names, *unread_of(table)[0]]
    for name in wanted:
        count = table.column_names.count(name)
        if not count:
            raise DataError(
                f"{where}: no column '{name}'{did_you_mean(name, known)}; it has: {listed(known)}{hints.get(name, '')}"
            )
        if count > 1:
            raise DataError(f"{where}: {count} columns are called '{name}'; give each a name of its own")


def kinds(table: pa.Table, name: str, where: str) -> dict[str, pa.ChunkedArray]:
    """The column of that name as the `event` of interactions, absent kinds empty; nothing where the name is empty."""
    if not name:
        return {}
    return {"event": pc.utf8_trim_whitespace(texts(column(table, name, where), f"{where}, column '{name}'"))}


def ratings(table: pa.Table, name: str, where: str) -> dict[str, pa.ChunkedArray]:
    """The column of that name as the `rating` of interactions; nothing where the name is empty."""
    return {"rating": column(table, name, where)} if name else {}


def numbers(values: pa.ChunkedArray, where: str, rows: Rows) -> pa.ChunkedArray:
    """Numbers, or text of them, as float64; empty text and NaN are null. Raises DataError for anything else."""
    kind = stored(values.type)
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if is_binary(kind) or (is_text(kind) and not is_list(kind)):
        words = pc.utf8_trim_whitespace(texts(values, where))
        values = pc.if_else(pc.equal(words, ""), pa.scalar(None, words.type), words)
        broken = pc.invert(pc.match_substring_regex(values, NUMBER))
        if pc.any(broken).as_py():
            row = pc.index(broken, True).as_py()
            raise DataError(f"{where}, {rows.at(row)}: '{shown(values[row])}' is no number, such as 4 or 3.5")
    elif not (number or pa.types.is_null(kind)):
        raise DataError(f"{where}: holds {values.type}; must be numbers, or text of them")
    found = flat(values, where).cast(pa.float64(), safe=False)
    return pc.if_else(pc.is_nan(found), pa.scalar(None, pa.float64()), found)


def clock_of(values: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """A column of times or positions in a type that `times` and `positions` read.

    Raises DataError where its type holds neither numbers, nor moments, nor text of them.
    """
    kind = stored(values.type)
    number = pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_float64(kind)
    moment = pa.types.is_date(kind) or pa.types.is_timestamp(kind)
    word = is_binary(kind) or (is_text(kind) and not is_list(kind))
    if not (number or moment or word or pa.types.is_float32(kind) or pa.types.is_null(kind)):
        raise DataError(
            f"{where}: holds {values.type}; times must be numbers, dates, timestamps or text of these, one "
            "in a row; positions whole numbers"
        )
    return flat(values, where)


def item_table(table: pa.Table, where: str, item_id: str, title: str, further: Sequence[str], rows: Rows) -> pa.Table:
    """Items as the catalog stage reads them; a further column whose name is taken is called source_<name>.

    A further column without a value keeps the type null where it was written with no type of text.
    """
    columns = {"item_id": ids(column(table, item_id, where), f"{where}, column '{item_id}'", rows)}
    columns["title"] = texts(_given(column(table, title, where)), f"{where}, column '{title}'")
    for name in further:
        values = _given(column(table, name, where))
        nothing = pa.types.is_null(values.type)
        columns[further_name(name)] = values if nothing else texts(values, f"{where}, column '{name}'")
    return pa.table(columns)


def _given(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values; of no type where none is there, for whatever wrote them then had to guess it."""
    guessed = values.null_count == len(values) and not is_text(values.type)
    return pa.chunked_array([pa.nulls(len(values))]) if guessed else values


def further_name(name: str) -> str:
    """The name that a source's further text column has in the catalog."""
    return f"source_{name}" if name in RESERVED else name
