"""Ids out of columns of any Arrow type, as strings; what cannot be one is refused by the name of its type."""

import pyarrow as pa
import pyarrow.compute as pc

from unisid.errors import DataError
from unisid.raw.rows import Numbered, Rows
from unisid.raw.texts import flat, is_binary, is_list, is_text, stored

NUMBERED = Numbered()


def ids(values: pa.ChunkedArray, where: str, rows: Rows = NUMBERED) -> pa.ChunkedArray:
    """Ids as strings. Raises DataError where one is absent or empty, which `rows` names, or the type holds no ids."""
    kind = stored(values.type)
    if not _holds_ids(kind) or isinstance(values.type, pa.BaseExtensionType):
        remedy = ", one in a row: a list's values must stand in rows of their own" if is_list(kind) else ""
        raise DataError(f"{where}: holds {values.type}; ids must be strings or whole numbers{remedy}")
    text = pc.utf8_trim_whitespace(_strings(flat(values, where), where, rows))
    absent = pc.or_kleene(pc.is_null(text), pc.equal(text, ""))
    if pc.any(absent).as_py():
        row = pc.index(pc.fill_null(absent, True), True).as_py()
        count = pc.sum(pc.fill_null(absent, True)).as_py()
        raise DataError(f"{where}, {rows.at(row)}: the id is missing ({count} such rows); every row needs one")
    return text


def _holds_ids(kind: pa.DataType) -> bool:
    number = pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_float64(kind)
    day = pa.types.is_date(kind) or pa.types.is_timestamp(kind)
    word = is_binary(kind) or pa.types.is_null(kind) or (is_text(kind) and not is_list(kind))
    return bool(number or day or word or pa.types.is_float32(kind))


def _strings(values: pa.ChunkedArray, where: str, rows: Rows) -> pa.ChunkedArray:
    if pa.types.is_floating(values.type):  # whole numbers beside absent ones, as pandas writes them
        values = _whole_where_possible(_exact(values, where, rows))
    text = values.cast(pa.string())
    return pc.replace_substring_regex(text, r"\.0+$", "") if pa.types.is_decimal(values.type) else text


def _exact(values: pa.ChunkedArray, where: str, rows: Rows) -> pa.ChunkedArray:
    """The numbers; refuses those too large for the type to hold exactly."""
    bits = 53 if pa.types.is_float64(values.type) else 24
    values = pc.if_else(pc.is_nan(values), None, values)
    beyond = pc.fill_null(pc.greater_equal(pc.abs(values), float(2**bits)), False)
    if pc.any(beyond).as_py():
        row = pc.index(beyond, True).as_py()
        raise DataError(
            f"{where}, {rows.at(row)}: {values[row].as_py()!r} is beyond 2^{bits}, where {values.type} "
            f"holds several ids as one number ({pc.sum(beyond).as_py()} such rows); write ids as strings "
            "or integers before they become fractions"
        )
    return values


def _whole_where_possible(values: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid:
        return values
