"""Oddities of Parquet columns: ids, texts and times in every type that Arrow has."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tests.fuzz.shops.plain_shop import EPOCH
from tests.fuzz.shops.sheet import Sheet

STRINGS = (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()))
BINARIES = (pa.binary(), pa.large_binary(), pa.binary_view())
NUMBERS = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
IDS: tuple[tuple[pa.DataType, bool, Callable[[int], Any]], ...] = (
    *((kind, True, lambda n: f"i{n}") for kind in STRINGS),
    *((kind, False, lambda n: f"i{n}".encode()) for kind in BINARIES),
    *((kind, True, lambda n: n) for kind in NUMBERS),
    (pa.float32(), True, float),
    (pa.float64(), True, float),
    (pa.float64(), False, lambda n: n + 0.5),
    (pa.float16(), False, float),
    (pa.float64(), False, lambda n: float("nan") if n == 0 else float(n)),
    (pa.float64(), False, lambda n: float("inf") if n == 0 else n),
    (pa.decimal128(10, 0), False, Decimal),
    (pa.decimal128(10, 2), False, Decimal),
    (pa.decimal256(50, 0), False, Decimal),
    (pa.binary(3), False, lambda n: f"i{n:02d}".encode()),
    (pa.binary(), False, lambda n: bytes([200 + n, 255])),
    (pa.bool_(), False, lambda n: bool(n % 2)),
    (pa.date32(), False, lambda n: date(2020, 1, 1 + n)),
    (pa.timestamp("s"), False, lambda n: datetime(2020, 1, 1 + n)),
    (pa.time64("us"), False, lambda n: time(n)),
    (pa.duration("s"), False, lambda n: timedelta(n)),
    (pa.null(), False, lambda n: None),
    (pa.list_(pa.string()), False, lambda n: [f"i{n}"]),
    (pa.struct([("a", pa.int64())]), False, lambda n: {"a": n}),
    (pa.map_(pa.string(), pa.int64()), False, lambda n: [("a", n)]),
    (pa.dictionary(pa.int8(), pa.large_string()), False, lambda n: f"i{n}"),
    (pa.list_(pa.int64(), 2), False, lambda n: [n, n]),
    (pa.dictionary(pa.int8(), pa.int64()), False, lambda n: n),
)
TEXTS: tuple[tuple[pa.DataType, bool, Callable[[str], Any]], ...] = (
    *((kind, True, str) for kind in STRINGS),
    *((kind, False, lambda text: text.encode()) for kind in BINARIES),
    *((kind, True, lambda text: text.split()) for kind in (pa.list_(pa.string()), pa.large_list(pa.string()))),
    (pa.list_(pa.string()), False, lambda text: [*text.split(), None]),
    (pa.list_(pa.string_view()), False, lambda text: text.split()),
    (pa.list_(pa.large_string()), False, lambda text: text.split()),
    (pa.list_(pa.string(), 1), False, lambda text: [text]),
    (pa.list_(pa.list_(pa.string())), False, lambda text: [text.split()]),
    (pa.list_(pa.binary()), False, lambda text: [text.encode()]),
    (pa.list_(pa.dictionary(pa.int8(), pa.string())), False, lambda text: text.split()),
    (pa.list_view(pa.string()), False, lambda text: text.split()),
)
NO_TEXTS: tuple[tuple[pa.DataType, Any], ...] = (
    (pa.int64(), 7),
    (pa.float64(), 0.5),
    (pa.bool_(), True),
    (pa.null(), None),
    (pa.struct([("a", pa.string())]), {"a": "x"}),
    (pa.map_(pa.string(), pa.string()), [("a", "b")]),
    (pa.date32(), date(2020, 1, 1)),
    (pa.binary(), b"\xff\xfe"),
    (pa.list_(pa.int64()), [1, 2]),
    (pa.list_(pa.null()), [None]),
    (pa.list_(pa.string()), None),
    (pa.list_(pa.string()), []),
    (pa.list_(pa.struct([("a", pa.string())])), [{"a": "b"}]),
    (pa.timestamp("ns", "UTC"), datetime(2020, 1, 1)),
    (pa.duration("s"), timedelta(1)),
    (pa.decimal128(5, 2), Decimal("1.50")),
    (pa.float16(), 1.0),
)


def _at(t: Any) -> datetime:
    return datetime.fromtimestamp(int(t), UTC)


TIMES: tuple[tuple[pa.DataType, bool, Callable[[Any], Any]], ...] = (
    (pa.int32(), True, int),
    (pa.int64(), True, int),
    (pa.uint32(), True, int),
    (pa.uint64(), True, int),
    (pa.float64(), True, float),
    (pa.decimal128(20, 0), False, lambda t: Decimal(int(t))),
    (pa.decimal128(20, 6), False, lambda t: Decimal(int(t))),
    (pa.string(), True, lambda t: str(int(t))),
    *(
        (pa.timestamp(unit, zone), True, _at)
        for unit in ("s", "ms", "us", "ns")
        for zone in (None, "UTC", "Europe/Berlin")
    ),
    (pa.string_view(), False, lambda t: _at(t).isoformat()),
    (pa.dictionary(pa.int32(), pa.string()), False, lambda t: _at(t).isoformat()),
    (pa.large_string(), True, lambda t: _at(t).isoformat()),
    (pa.binary(), False, lambda t: str(int(t)).encode()),
    (pa.duration("s"), False, lambda t: timedelta(seconds=int(t))),
    (pa.list_(pa.int64()), False, lambda t: [int(t)]),
    (pa.null(), False, lambda t: None),
    (pa.struct([("seconds", pa.int64())]), False, lambda t: {"seconds": int(t)}),
    (pa.dictionary(pa.int32(), pa.int64()), False, int),
    (pa.timestamp("s", "+05:30"), False, _at),
    (pa.timestamp("ns"), False, _at),
)
COARSE: tuple[tuple[pa.DataType, Callable[[Any], Any]], ...] = (
    (pa.date32(), lambda t: _at(t).date()),
    (pa.date64(), lambda t: _at(t).date()),
    (pa.time32("s"), lambda t: _at(t).time()),
    (pa.bool_(), lambda t: bool(int(t) % 2)),
    (pa.float32(), float),
    (pa.float16(), lambda t: float(int(t) - EPOCH) / 100),
    (pa.int8(), lambda t: int(t) % 100),
)
"""Types that cannot tell all times apart."""


def ids(sheet: Sheet, chance: random.Random) -> None:
    kind, good, write = chance.choice(IDS)
    whose = chance.choice(["items", "users", "items of the interactions"])
    if not {"item_id", "title"} <= set(sheet.items) or not {"user_id", "item_id"} <= set(sheet.rows):
        return
    if whose == "users":
        sheet.rows["user_id"] = [write(user) for user, _, _ in sheet.world.rows]
        sheet.types["user_id"] = kind
    else:
        sheet.rows["item_id"] = [write(item) for _, item, _ in sheet.world.rows]
        sheet.types["item_id"] = kind
        sheet.items["item_id"] = [write(n) for n in range(len(sheet.world.titles))]
    sheet.told_by_title = True
    sheet.odd(f"ids of {whose} as {kind}", good=good)


def texts(sheet: Sheet, chance: random.Random) -> None:
    kind, good, write = chance.choice(TEXTS)
    name = chance.choice(["title", "description"])
    if all(isinstance(text, str) for text in sheet.items.get(name, [None])):
        sheet.items[name] = [write(text) if text else None for text in sheet.items[name]]
        sheet.types[name] = kind
        sheet.odd(f"{name} as {kind}", good=good)


def no_texts(sheet: Sheet, chance: random.Random) -> None:
    """A description that is no text: what stands for it is not for the world to say."""
    kind, value = chance.choice(NO_TEXTS)
    name = chance.choice(["title", "description", "more"])
    sheet.items[name] = [value] * len(sheet.world.titles)
    sheet.types[name] = kind
    sheet.odd(f"{name} is {value!r} as {kind}", decidable=name == "more")


def times(sheet: Sheet, chance: random.Random) -> None:
    if "timestamp" not in sheet.rows or any(time.denominator > 1 for _, _, time in sheet.world.rows):
        return
    if chance.random() < 0.75:
        kind, good, write = chance.choice(TIMES)
        sheet.odd(f"times as {kind}", good=good)
    else:
        kind, write = chance.choice(COARSE)
        sheet.odd(f"times as {kind}", decidable=False)
    sheet.rows["timestamp"] = [write(time) for _, _, time in sheet.world.rows]
    sheet.types["timestamp"] = kind


ODDITIES: tuple[Callable[[Sheet, random.Random], None], ...] = (ids, ids, texts, texts, no_texts, times, times)
