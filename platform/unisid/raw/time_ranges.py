"""Which times can be true: the unit that numbers are in, and rows that lie outside the years of all others.

A clock set wrong is silent: milliseconds read as seconds lie in the year 52,000, seconds read as milliseconds in
January 1970, and a time that was not known is often written as 0, -1 or 9999-12-31. Small numbers that only count
(1, 2, 3, ...) are taken as they are: they are an order, and no unit would make dates of them.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unisid.bounds import Settings
from unisid.errors import DataError
from unisid.raw.rows import Rows

Unit = Literal["s", "ms", "us", "ns"]
UNITS: tuple[Unit, ...] = ("s", "ms", "us", "ns")
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
EARLIEST, USUAL, LATEST = (int(np.datetime64(f"{year}-01-01", "s").astype(np.int64)) for year in (1971, 1980, 2080))
"""Where most times lie between `USUAL` and `LATEST`, one before `EARLIEST` or from `LATEST` on cannot be true."""
LARGEST = np.iinfo(np.int64).max


@dataclass(frozen=True, kw_only=True)
class Times(Settings):
    """What becomes of interactions without a time, and of those whose time cannot be true."""

    missing: Literal["refuse", "drop"] = "refuse"
    """Interactions without a time: an error, or dropped and counted."""
    outlying: Literal["refuse", "drop", "keep"] = "refuse"
    """Times before 1971 or from 2080 on where most lie between: an error, dropped and counted, or kept."""


@dataclass(frozen=True)
class Clock:
    """How a column of times is read."""

    unit: Unit = "s"
    """What numbers count, since 1970."""
    policy: Times = Times()
    remedy: str = "set catalog.dataset.unit to {unit}"
    """What to do where another unit fits, named by {unit}."""


def rescaled(values: NDArray[Any], unit: Unit, wanted: Unit) -> NDArray[np.int64]:
    """Times of one unit in a finer one; what is too large for it stays at the largest number it has."""
    scale = PER_SECOND[wanted] // PER_SECOND[unit]
    limit = int(LARGEST // scale)
    fits = np.abs(values) <= limit if scale > 1 else np.ones(len(values), bool)
    return np.where(fits, values * np.where(fits, scale, 0), np.sign(values) * LARGEST)


def in_one_unit(tables: list[pa.Table]) -> list[pa.Table]:
    """The tables, with their timestamps in the finest unit that any of them has."""
    kinds = [table.schema.field("timestamp").type for table in tables if "timestamp" in table.column_names]
    units: set[Unit] = {kind.unit if pa.types.is_timestamp(kind) else "s" for kind in kinds}
    if not units:
        return tables
    finest = max(units, key=UNITS.index)
    return [with_unit(table, finest) if "timestamp" in table.column_names else table for table in tables]


def with_unit(table: pa.Table, wanted: Unit) -> pa.Table:
    """The table with its timestamps in a unit; whole numbers count seconds."""
    column = table["timestamp"]
    unit: Unit = column.type.unit if pa.types.is_timestamp(column.type) else "s"
    if pa.types.is_timestamp(column.type) and unit == wanted:
        return table
    absent = column.is_null().to_numpy()
    numbers = pc.fill_null(column.cast(pa.int64()), 0).to_numpy()
    values = pa.array(rescaled(numbers, unit, wanted), pa.int64(), mask=absent).cast(pa.timestamp(wanted))
    return table.set_column(table.column_names.index("timestamp"), "timestamp", values)


def coarsest(values: NDArray[np.int64], unit: Unit) -> tuple[NDArray[np.int64], Unit]:
    """The same times in the coarsest unit that loses nothing."""
    while (at := UNITS.index(unit)) and not (values % 1000).any():
        values, unit = values // 1000, UNITS[at - 1]
    return values, unit


def outlying(values: NDArray[Any], unit: Unit) -> NDArray[np.bool_]:
    """The times that cannot be true, given that most of them can; none where most cannot."""
    scale = PER_SECOND[unit]
    if not _usual(values, scale):
        return np.zeros(len(values), bool)
    return (values < EARLIEST * scale) | (values >= LATEST * scale)


def when(value: int, unit: Unit) -> str:
    """The day of a time, as a person reads it: '2020-09-13', 'the year 52,672'."""
    day = np.datetime64(int(value), unit).astype("datetime64[D]")
    year = int(day.astype("datetime64[Y]").astype(np.int64)) + 1970
    return str(day) if 0 < year < 10_000 else f"the year {year:,}"


def check(values: pa.ChunkedArray, unit: Unit, clock: Clock, where: str, rows: Rows, kind: str) -> None:
    """Raise DataError where times of a `unit` cannot be true, under the policy and the unit given of the clock."""
    if clock.policy.outlying == "keep":
        return
    present = values.is_valid().to_numpy()
    found = values.drop_null().to_numpy()
    if not len(found):
        return
    if kind != "date":
        _check_unit(found, unit, clock, where, kind)
    odd = outlying(found, unit)
    if clock.policy.outlying == "refuse" and odd.any():
        first = int(np.flatnonzero(odd)[0])
        row = int(np.flatnonzero(present)[first])
        usual = found[~odd]
        better = _fitting(found[first : first + 1], unit, clock.unit) if kind == "number" else None
        raise DataError(
            f"{where}, {rows.at(row)}: {_shown(found[first], unit, clock.unit, kind)} is {when(found[first], unit)}, "
            f"while most times lie between {when(usual.min(), unit)} and {when(usual.max(), unit)} ({odd.sum()} such "
            f"rows){_named(found[first : first + 1], unit, clock.unit, better)}; correct them, or set "
            "catalog.dataset.times.outlying to drop (such rows are then dropped and counted) or keep"
        )


def _check_unit(found: NDArray[Any], unit: Unit, clock: Clock, where: str, kind: str) -> None:
    scale = PER_SECOND[unit]
    if _usual(found, scale):
        return
    low, high = int(found.min()), int(found.max())
    lie = f"{where}: the times lie between {when(low, unit)} and {when(high, unit)}"
    read = f", read as '{clock.unit}'" if kind == "number" else ""
    if (better := _fitting(found, unit, clock.unit)) is not None:
        remedy = clock.remedy.format(unit=better) if kind == "number" else "write the column anew from that unit"
        raise DataError(f"{lie}{read}{_named(np.sort(found)[len(found) // 2 :], unit, clock.unit, better)}; {remedy}")
    given = found // (PER_SECOND[unit] // PER_SECOND[clock.unit])
    for digits, what, like in MOMENTS if kind == "number" else ():
        if _are_digits_of_days(given // 10 ** (digits - 8)):
            raise DataError(
                f"{lie}{read}; numbers like {given[0]} look like {what} written in digits: write them as dates, "
                f"like {like}"
            )
    if np.mean(found >= LATEST * scale) > 0.5 or (np.mean(found < 0) > 0.5 and kind == "number"):
        raise DataError(
            f"{lie}{read}, and in no unit of {', '.join(UNITS)} between 1980 and 2080; give times, or name "
            "the column as catalog.dataset.position where it is only an order, or set "
            "catalog.dataset.times.outlying to keep"
        )


MOMENTS = (
    (8, "days", "2018-11-30"),
    (12, "minutes", "2018-11-30 08:15"),
    (14, "seconds", "2018-11-30 08:15:00"),
    (17, "milliseconds", "2018-11-30 08:15:00.250"),
)
"""Digits of a moment that is written without signs, what it is of, and how it is read."""


def _usual(values: NDArray[Any], scale: int) -> bool:
    """Whether at least half of the times lie in the usual years."""
    return bool(np.mean((values >= USUAL * scale) & (values < LATEST * scale)) >= 0.5)


def _fitting(values: NDArray[Any], unit: Unit, given: Unit) -> Unit | None:
    """The unit under which the numbers given, which were read as `given`, would lie in the usual years."""
    numbers = values / (PER_SECOND[unit] / PER_SECOND[given])
    return next((other for other in UNITS if other != given and _usual(numbers, PER_SECOND[other])), None)


def _named(values: NDArray[Any], unit: Unit, given: Unit, better: Unit | None) -> str:
    if better is None:
        return ""
    number = int(values[0]) // (PER_SECOND[unit] // PER_SECOND[given])
    return f"; as '{better}', {number} is {when(number, better)}"


def _shown(value: Any, unit: Unit, given: Unit, kind: str) -> str:
    number = int(value) // (PER_SECOND[unit] // PER_SECOND[given])
    return f"{number} under the unit '{given}'" if kind == "number" else "the time"


def _are_digits_of_days(numbers: NDArray[Any]) -> bool:
    year, month, day = numbers // 10_000, numbers // 100 % 100, numbers % 100
    return bool(((year >= 1900) & (year < 2080) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all())
