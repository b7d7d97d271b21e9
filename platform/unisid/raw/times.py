"""Times out of raw columns, in the finest unit that they are given in; places in an order where there are no times.

Numbers count a unit since 1970; dates without a zone are read as UTC. A time that is a fraction of its unit keeps
its digits, down to nanoseconds: they decide the order of what happened within a second.
"""

import contextlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unisid.errors import DataError
from unisid.raw.columns import clock_of
from unisid.raw.ids import NUMBERED
from unisid.raw.rows import Rows, shown
from unisid.raw.time_ranges import UNITS, Clock, Unit, check, rescaled

ABSENT = ("", "nan", "nat", "null", "none", "na", "n/a", "\\n")
"""What stands for no value in a column of text, whatever the case of its letters."""
WHOLE = r"^[-+]?\d+$"
DECIMAL = r"^(?P<sign>[-+]?)(?P<whole>\d+)(?:\.(?P<part>\d*))?$"
NUMBER = r"^[-+]?\d+(\.\d*)?([eE][-+]?\d+)?$"
ZONE = r"(Z|[-+]\d{2}(:?\d{2})?)$"
CLOCK = r"[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
DATE = rf"^\d{{4}}-\d{{2}}-\d{{2}}({CLOCK}(Z|[-+]\d{{2}}(:?\d{{2}})?)?)?$"
EXACT = 2**53
"""Up to here every whole number is a float of its own."""


@dataclass(frozen=True)
class _Found:
    """Times as whole numbers of a unit; what is absent is null."""

    values: pa.ChunkedArray
    unit: Unit
    kind: Literal["number", "timestamp", "date"]
    """What they were given as."""


def times(values: pa.ChunkedArray, where: str, clock: Clock, rows: Rows = NUMBERED) -> pa.ChunkedArray:
    """Times as Arrow timestamps in the finest unit given, from numbers, dates, Arrow timestamps or text of these.

    Null where there is none and the clock's policy drops such rows. Raises DataError where one is no time or cannot
    be true, with the row and, where another unit would fit, that unit.
    """
    values = clock_of(values, where)
    found = _found(values, clock.unit, where, rows)
    if found.values.null_count and clock.policy.missing == "refuse":
        raise _no_time(
            pc.is_null(found.values),
            values,
            where,
            rows,
            ", or set catalog.dataset.times.missing to drop: rows without a time are then dropped and counted",
        )
    given = clock.unit if found.kind == "number" else found.unit
    check(found.values, found.unit, Clock(given, clock.policy, clock.remedy), where, rows, found.kind)
    return found.values.cast(pa.timestamp(found.unit))


def positions(values: pa.ChunkedArray, where: str, rows: Rows = NUMBERED) -> pa.ChunkedArray:
    """An order as int64, from whole numbers or text of them."""
    numbers = values = clock_of(values, where)
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        with contextlib.suppress(pa.ArrowInvalid):
            numbers = _trimmed(values).cast(pa.float64())
    if pa.types.is_floating(numbers.type):
        broken = pc.fill_null(pc.and_(pc.is_finite(numbers), pc.not_equal(numbers, pc.floor(numbers))), False)
        if pc.any(broken).as_py():
            row = pc.index(broken, True).as_py()
            raise DataError(
                f"{where}, {rows.at(row)}: '{shown(values[row])}' is no position; positions are whole numbers"
            )
    found = _found(values, "s", where, rows)
    if found.values.null_count:
        raise _no_time(pc.is_null(found.values), values, where, rows)
    return found.values


def _found(values: pa.ChunkedArray, unit: Unit, where: str, rows: Rows) -> _Found:
    kind = values.type
    if pa.types.is_timestamp(kind):
        return _Found(values.cast(pa.int64()), kind.unit, "timestamp")  # of any zone: what is stored is UTC
    if pa.types.is_date(kind):
        return _Found(values.cast(pa.timestamp("ms")).cast(pa.int64()), "ms", "date")
    if pa.types.is_integer(kind):
        with contextlib.suppress(pa.ArrowInvalid):
            return _Found(values.cast(pa.int64()), unit, "number")
        return _from_floats(values.cast(pa.float64(), safe=False), values, where, unit, rows)
    if pa.types.is_floating(kind):
        _refuse_coarse(values, where, rows)
        return _from_floats(values.cast(pa.float64()), values, where, unit, rows)
    return _from_text(values, where, unit, rows)


def _refuse_coarse(values: pa.ChunkedArray, where: str, rows: Rows) -> None:
    """Raise DataError where narrow floats hold several whole numbers as one: a user's order is lost in them."""
    if not pa.types.is_float32(values.type):
        return
    large = pc.fill_null(pc.and_(pc.is_finite(values), pc.greater_equal(pc.abs(values), 2.0**24)), False)
    if pc.any(large).as_py():
        row = pc.index(large, True).as_py()
        found = values[row].as_py()
        alike = np.spacing(np.float32(abs(found)))
        raise DataError(
            f"{where}, {rows.at(row)}: {found:.0f} is beyond 2^24, where {values.type} holds {alike:.0f} whole numbers "
            f"as one, and the order within them is lost ({pc.sum(large).as_py()} such rows); write times as integers, "
            "double or timestamps before they become so narrow"
        )


def _from_floats(numbers: pa.ChunkedArray, raw: pa.ChunkedArray, where: str, unit: Unit, rows: Rows) -> _Found:
    """Whole numbers of the unit or, where there are fractions, of the finest that floats of this size tell apart."""
    absent = pc.fill_null(pc.is_nan(numbers), True)
    wild = pc.greater_equal(pc.abs(pc.if_else(absent, 0.0, numbers)), float(2**63))
    if pc.any(wild).as_py():
        raise _no_time(wild, raw, where, rows)
    plain = pc.if_else(absent, 0.0, numbers).to_numpy()
    whole = np.floor(plain)
    parts = plain - whole
    digits = 0
    if parts.any():
        typical = np.median(np.abs(plain[parts > 0]))
        digits = max(d for d in (3, 6, 9) if d == 3 or typical * 10**d <= EXACT)
    return _scaled(whole.astype(np.int64), parts, digits, unit, absent.to_numpy())


def _from_text(values: pa.ChunkedArray, where: str, unit: Unit, rows: Rows) -> _Found:
    with contextlib.suppress(pa.ArrowInvalid):  # what most files hold: whole numbers alone
        return _Found(_trimmed(values).cast(pa.int64()), unit, "number")
    trimmed = pc.replace_substring_regex(_trimmed(values), r"\s?(UTC|GMT)$", "Z")
    absent = pc.or_(pc.is_null(trimmed), pc.is_in(pc.utf8_lower(trimmed), value_set=pa.array(ABSENT)))
    text = pc.if_else(absent, None, trimmed)
    if _all(text, WHOLE):
        with contextlib.suppress(pa.ArrowInvalid):
            return _Found(pc.replace_substring(text, "+", "").cast(pa.int64()), unit, "number")
    if _all(text, DECIMAL):
        with contextlib.suppress(pa.ArrowInvalid):
            return _from_digits(text, absent, unit)
    if _all(text, NUMBER):
        return _from_floats(text.cast(pa.float64()), values, where, unit, rows)
    # Some rows are wrong: those that look like nothing known or, where all look right, unlike the first.
    number = pc.fill_null(pc.match_substring_regex(text, NUMBER), False)
    known = pc.or_(pc.or_(number, absent), pc.fill_null(pc.match_substring_regex(text, DATE), False))
    first = pc.index(absent, False).as_py()
    right = pc.or_(absent, pc.equal(number, number[first])) if pc.all(known).as_py() else known
    if not pc.all(right).as_py():
        raise _no_time(pc.invert(right), values, where, rows)
    return _from_dates(text, values, where, rows)


def _from_digits(text: pa.ChunkedArray, absent: pa.ChunkedArray, unit: Unit) -> _Found:
    """Numbers written out, with every digit of their fractions down to a nanosecond."""
    fields = pc.extract_regex(pc.fill_null(text, "0"), DECIMAL)
    sign, whole, part = (pc.struct_field(fields, name) for name in ("sign", "whole", "part"))
    billionths = pc.utf8_slice_codeunits(pc.utf8_rpad(pc.coalesce(part, pa.scalar("")), 9, "0"), 0, 9)
    digits = billionths.cast(pa.int64()).to_numpy()
    wanted = next(d for d in (0, 3, 6, 9) if not (digits % 10 ** (9 - d)).any())
    found = _scaled(whole.cast(pa.int64()).to_numpy(), digits / 1e9, wanted, unit, absent.to_numpy())
    minus = pc.equal(sign, "-")
    return _Found(pc.if_else(minus, pc.negate(found.values), found.values), found.unit, "number")


def _scaled(whole: NDArray[Any], parts: NDArray[Any], digits: int, unit: Unit, absent: NDArray[Any]) -> _Found:
    """Whole numbers and fractions of a unit as whole numbers of one that is `digits` digits finer, as far as any is."""
    at = UNITS.index(unit)
    finer = UNITS[min(at + digits // 3, len(UNITS) - 1)]
    scale = 1000 ** (UNITS.index(finer) - at)
    values = rescaled(whole, unit, finer)
    room = np.abs(values) < np.iinfo(np.int64).max - scale
    values[room] += np.floor(parts[room] * scale + (0.5 if scale > 1 else 0)).astype(np.int64)
    return _Found(pa.chunked_array([pa.array(values, mask=absent)]), finer, "number")


def _from_dates(text: pa.ChunkedArray, raw: pa.ChunkedArray, where: str, rows: Rows) -> _Found:
    zoned = pc.and_(pc.match_substring(text, ":"), pc.match_substring_regex(text, ZONE))
    halves = {"UTC": pc.if_else(zoned, text, None), None: pc.if_else(zoned, None, text)}
    unit: Unit
    for unit in ("ns", "us"):  # years before 1678 or after 2261 do not fit nanoseconds
        with contextlib.suppress(pa.ArrowInvalid):
            read = [half.cast(pa.timestamp(unit, zone)).cast(pa.int64()) for zone, half in halves.items()]
            return _Found(pc.coalesce(*read), unit, "date")
    row = min(_first_broken(half, pa.timestamp("us", zone)) for zone, half in halves.items())
    raise DataError(f"{where}, {rows.at(row)}: '{shown(raw[row].as_py())}' is no time; there is no such day or hour")


def _first_broken(text: pa.ChunkedArray, kind: pa.DataType) -> int:
    """The first row that cannot be read as this kind, by halving; the number of rows where all can."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high) // 2
        try:
            text.slice(low, middle + 1 - low).cast(kind)
            low = middle + 1
        except pa.ArrowInvalid:
            high = middle
    return low


def _trimmed(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_trim_whitespace(values.cast(pa.string()))


def _all(text: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(text, pattern), min_count=0).as_py())


def _no_time(wrong: pa.ChunkedArray, raw: pa.ChunkedArray, where: str, rows: Rows, way: str = "") -> DataError:
    row = pc.index(wrong, True).as_py()
    return DataError(
        f"{where}, {rows.at(row)}: '{shown(raw[row].as_py())}' is no time ({pc.sum(wrong).as_py()} such "
        f"rows); every interaction needs a number, or a date like 2018-11-30{way}"
    )
