"""Typed columns out of raw tables: ids, times and texts, with errors that name the file, the row and the value."""

import contextlib
from collections.abc import Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from unisid.config import did_you_mean
from unisid.datasets.rows import Numbered, Rows
from unisid.errors import DataError

NUMBERED = Numbered()

Unit = Literal["s", "ms", "us", "ns"]
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
NUMBER = r"^[-+]?\d+(\.\d*)?([eE][-+]?\d+)?$"
DATE = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[-+]\d{2}:?\d{2})?)?$"
RESERVED = {"item_id", "title", "text", "markup", "part"}


def column(table: pa.Table, name: str, where: str, hint: str = "") -> pa.ChunkedArray:
    """A column by name. Raises DataError with the names there are, and the hint."""
    if name not in table.column_names:
        known = table.column_names
        raise DataError(f"{where}: no column '{name}'{did_you_mean(name, known)}; it has: {', '.join(known)}{hint}")
    return table[name]


def ids(values: pa.ChunkedArray, where: str, rows: Rows = NUMBERED) -> pa.ChunkedArray:
    """Ids as strings. Raises DataError where one is absent or empty; `rows` names it."""
    if pa.types.is_floating(values.type):  # whole numbers beside absent ones, as pandas writes them
        values = _whole_where_possible(pc.if_else(pc.is_nan(values), None, values))
    text = pc.utf8_trim_whitespace(values.cast(pa.string()))
    absent = pc.or_kleene(pc.is_null(text), pc.equal(text, ""))
    if pc.any(absent).as_py():
        row = pc.index(pc.fill_null(absent, True), True).as_py()
        count = pc.sum(pc.fill_null(absent, True)).as_py()
        raise DataError(f"{where}, {rows.at(row)}: the id is missing ({count} such rows); "
                        "every row needs one")  # fmt: skip
    return text


def _whole_where_possible(values: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid:
        return values


def positions(values: pa.ChunkedArray, where: str, rows: Rows = NUMBERED) -> pa.ChunkedArray:
    """An order as int64, from whole numbers or text of them."""
    numbers = values
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        with contextlib.suppress(pa.ArrowInvalid):
            numbers = pc.utf8_trim_whitespace(values.cast(pa.string())).cast(pa.float64())
    if pa.types.is_floating(numbers.type):
        broken = pc.fill_null(pc.and_(pc.is_finite(numbers), pc.not_equal(numbers, pc.floor(numbers))), False)
        if pc.any(broken).as_py():
            row = pc.index(broken, True).as_py()
            raise DataError(f"{where}, {rows.at(row)}: '{values[row]}' is no position; positions are whole numbers")
    return times(values, where, "s", rows)


def times(values: pa.ChunkedArray, where: str, unit: Unit = "s", rows: Rows = NUMBERED) -> pa.ChunkedArray:
    """Times as int64 seconds since 1970, from numbers in the given unit, from dates, or from text of either."""
    kind = values.type
    if pa.types.is_temporal(kind):
        whole = values.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        number = pc.if_else(pc.is_finite(values), values, None)
        whole = pc.floor(number).cast(pa.int64(), safe=False) if pa.types.is_floating(kind) else values.cast(pa.int64())
        whole = _per(whole, PER_SECOND[unit])
    else:
        return _times_of_text(values.cast(pa.string()), where, unit, rows)
    return _whole(whole, values, where, rows)


def _times_of_text(text: pa.ChunkedArray, where: str, unit: Unit, rows: Rows) -> pa.ChunkedArray:
    text = pc.utf8_trim_whitespace(text)
    for kind in (pa.float64(), pa.timestamp("us"), pa.timestamp("us", "UTC")):
        with contextlib.suppress(pa.ArrowInvalid):
            return times(text.cast(kind), where, unit, rows)
    # Some rows are wrong: those that look like nothing known or, where all look right, unlike the first.
    number = pc.fill_null(pc.match_substring_regex(text, NUMBER), False)
    date = pc.fill_null(pc.match_substring_regex(text, DATE), False)
    known = pc.or_(number, date)
    right = pc.equal(number, number[0]) if pc.all(known).as_py() else known
    return _whole(pc.if_else(right, 0, None), text, where, rows)


def _per(values: pa.ChunkedArray, divisor: int) -> pa.ChunkedArray:
    return values if divisor == 1 else pc.divide(values, divisor)


def _whole(numbers: pa.ChunkedArray, raw: pa.ChunkedArray, where: str, rows: Rows) -> pa.ChunkedArray:
    if numbers.null_count:
        row = pc.index(pc.is_null(numbers), True).as_py()
        raise DataError(f"{where}, {rows.at(row)}: '{raw[row].as_py()}' is no time ({numbers.null_count} such "
                        "rows); every interaction needs a number, or a date like 2018-11-30")  # fmt: skip
    return numbers


def texts(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as strings, absent ones empty; lists of texts are joined by blanks."""
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        values = pc.binary_join(values.cast(pa.list_(pa.string())), " ")
    return pc.fill_null(values.cast(pa.string()), "")


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text: strings, encoded or not, or lists of them."""
    if pa.types.is_dictionary(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return is_text(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def item_table(table: pa.Table, where: str, item_id: str, title: str, further: Sequence[str], rows: Rows) -> pa.Table:
    """Items as the catalog stage reads them; a further column whose name is taken is called source_<name>."""
    columns = {
        "item_id": ids(column(table, item_id, where), f"{where}, column '{item_id}'", rows),
        "title": texts(column(table, title, where)),
    }
    for name in further:
        columns[further_name(name)] = texts(column(table, name, where))
    return pa.table(columns)


def further_name(name: str) -> str:
    """The name that a source's further text column has in the catalog."""
    return f"source_{name}" if name in RESERVED else name
