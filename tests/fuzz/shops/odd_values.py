"""Oddities of what is in the cells, whatever the file: ids, times, texts, repeats."""

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

from tests.fuzz.shops.plain_shop import EPOCH, RAW
from tests.fuzz.shops.sheet import Sheet
from unisid.raw.time_ranges import Times

STYLES: dict[str, Callable[[int], Any]] = {
    "whole numbers": lambda n: n,
    "leading zeros": lambda n: f"{n:07d}",
    "huge numbers": lambda n: 2**62 + n,
    "negative numbers": lambda n: -n - 1,
    "unicode": lambda n: f"ид-{n}",
    "white space around": lambda n: f"  i {n} ",
    "spaces without break": lambda n: f"\u00a0{n}\u3000",
    "combined letters": lambda n: f"e\u0301{n}",
    "as floats": lambda n: f"{n}.0",
    "exponents": lambda n: f"{n}e5",
    "commas": lambda n: f"a,{n}",
    "quotes": lambda n: f'"{n}"',
    "slashes": lambda n: f"a/{n}?x=1#y",
    "null words": lambda n: ("NA", "null", "None", "nan", "", "N/A", "-", "NULL", "#N/A", "true")[n % 10],
    "control signs": lambda n: f"\x1b[3{n}m",
    "zero width": lambda n: "x" + "\u200b" * n,
    "right to left": lambda n: f"\u202e{n}",
    "case only": lambda n: ("aa", "aA", "Aa", "AA", "ab", "aB", "Ab", "AB", "ac", "aC")[n % 10],
    "very long": lambda n: f"{n}" * 4000,
}


def ids(sheet: Sheet, chance: random.Random) -> None:
    """Another way of writing all ids of users or of items."""
    style = chance.choice(sorted(STYLES))
    write = STYLES[style]
    if "item_id" not in sheet.items or not {"item_id", "user_id"} <= set(sheet.rows):
        return
    if chance.random() < 0.5:
        values = [write(n) for n in range(len(sheet.world.titles))]
        sheet.items["item_id"] = [values[n] for n in range(len(values))]
        sheet.rows["item_id"] = [values[item] for _, item, _ in sheet.world.rows]
        sheet.item_names = [str(value).strip() for value in values]
    else:
        sheet.rows["user_id"] = [write(user) for user, _, _ in sheet.world.rows]
        sheet.user_names = [str(write(n)).strip() for n in range(sheet.world.num_users)]
    sheet.odd(
        f"ids: {style}", good=style in ("whole numbers", "leading zeros", "unicode", "case only", "commas", "slashes")
    )
    sheet.decidable &= style not in ("null words",) and not (style == "exponents" and sheet.form == "parquet")


def an_id_missing(sheet: Sheet, chance: random.Random) -> None:
    table, name = chance.choice([(sheet.items, "item_id"), (sheet.rows, "item_id"), (sheet.rows, "user_id")])
    if table.get(name):
        table[name][chance.randrange(len(table[name]))] = chance.choice([None, "", "  "])
        sheet.odd(f"a missing {name}")


def an_item_unknown(sheet: Sheet, chance: random.Random) -> None:
    if sheet.rows.get("item_id"):
        sheet.rows["item_id"][chance.randrange(len(sheet.rows["item_id"]))] = "nowhere"
        sheet.odd("an interaction of an unknown item")


def an_item_twice(sheet: Sheet, chance: random.Random) -> None:
    number = chance.randrange(len(sheet.world.titles))
    for values in sheet.items.values():
        values.append(values[number])
    sheet.odd("an item twice")


def rows_twice(sheet: Sheet, chance: random.Random) -> None:
    """The same user, item and time again."""
    world = sheet.world
    number = chance.randrange(len(world.rows))
    world.rows.append(world.rows[number])
    for values in sheet.rows.values():
        values.append(values[number])
    sheet.catalog["duplicate_rows"] = chance.choice(["keep", "drop"])
    if sheet.catalog["duplicate_rows"] == "drop":
        world.unused.add(len(world.rows) - 1)
    sheet.odd("an interaction twice", good=True)


def no_rows(sheet: Sheet, chance: random.Random) -> None:
    table = chance.choice([sheet.items, sheet.rows])
    for values in table.values():
        values.clear()
    sheet.odd("a table without rows")


def raw_texts(sheet: Sheet, chance: random.Random) -> None:
    """Markup and entities in descriptions."""
    if "description" in sheet.types:
        return
    for item in range(len(sheet.world.titles)):
        sheet.world.descriptions[item] = chance.choice(sorted(RAW))
    if "description" in sheet.items:
        sheet.items["description"] = list(sheet.world.descriptions)
        sheet.odd("markup in texts", good=True)


def texts_missing(sheet: Sheet, chance: random.Random) -> None:
    sheet.world.descriptions = [""] * len(sheet.world.titles)
    if "description" in sheet.items:
        sheet.items["description"] = [chance.choice([None, ""]) for _ in sheet.world.titles]
        sheet.odd("no descriptions", good=sheet.form != "jsonl")


def clocks(sheet: Sheet, chance: random.Random) -> None:
    """All times in another way of writing; their order is the same."""
    if "timestamp" not in sheet.rows or any(time.denominator > 1 for _, _, time in sheet.world.rows):
        return
    way, good, write = chance.choice(CLOCKS)
    sheet.rows["timestamp"] = [write(time) for _, _, time in sheet.world.rows]
    if way in MOVED:
        sheet.world.rows = [(user, item, MOVED[way](time)) for user, item, time in sheet.world.rows]
    sheet.odd(f"times: {way}", good=good)


def fine_clock(sheet: Sheet, chance: random.Random) -> None:
    """Times that differ by less than a second."""
    if "timestamp" not in sheet.rows:
        return
    per = chance.choice([10, 1000, 10**6])
    sheet.world.rows = [(user, item, EPOCH + (time - EPOCH) / (10 * per)) for user, item, time in sheet.world.rows]
    write = chance.choice([float, lambda time: repr(float(time)), lambda time: f"{float(time):.6f}"])
    if per == 1000 and chance.random() < 0.5:
        sheet.world.rows = [(user, item, Fraction(int(time * 1000), 1000)) for user, item, time in sheet.world.rows]
        sheet.rows["timestamp"] = [int(time * 1000) for _, _, time in sheet.world.rows]
        sheet.dataset["unit"] = "ms"
    else:
        sheet.rows["timestamp"] = [write(time) for _, _, time in sheet.world.rows]
        sheet.world.rows = [(user, item, Fraction(str(write(time)))) for user, item, time in sheet.world.rows]
    sheet.odd(f"times within a second, 1 / {10 * per}")


def a_time_missing(sheet: Sheet, chance: random.Random) -> None:
    if sheet.rows.get("timestamp"):
        odd = chance.choice(
            [
                None,
                "",
                "soon",
                "NaN",
                "inf",
                "-",
                math.nan,
                math.inf,
                1e300,
                "2018-02-30",
                "10:30",
                "01/02/2018",
                -1,
                0,
                "1e999",
                10**25,
                "2018-01-01T25:00:00",
                "١٢٣",
                "0x10",
                True,
            ]
        )
        row = chance.randrange(len(sheet.rows["timestamp"]))
        sheet.rows["timestamp"][row] = odd
        if chance.random() < 0.5:
            sheet.dataset["times"] = Times(missing="drop")
            if odd in (None, "", "NaN") or odd is math.nan:
                sheet.world.unused.add(row)
        sheet.odd(f"one time is {odd!r}", decidable=odd not in (-1, 0, True, 1e300, 10**25))


def times_equal(sheet: Sheet, chance: random.Random) -> None:
    """Some interactions of one time, or all."""
    if "timestamp" not in sheet.rows or any(time.denominator > 1 for _, _, time in sheet.world.rows):
        return
    coarse = chance.choice([10**5, 10**6, 10**7])
    sheet.world.rows = [
        (user, item, Fraction(EPOCH + (int(time) - EPOCH) // coarse * coarse)) for user, item, time in sheet.world.rows
    ]
    sheet.rows["timestamp"] = [int(time) for _, _, time in sheet.world.rows]
    sheet.odd("equal times", good=True)


def _in_zone(time: Fraction, hours: float) -> str:
    return datetime.fromtimestamp(int(time), timezone(timedelta(hours=hours))).isoformat()


def _mixed(time: Fraction) -> str:
    return _in_zone(time, (int(time) % 5) - 2)


def _formatted(pattern: str) -> Callable[[Fraction], str]:
    return lambda time: datetime.fromtimestamp(int(time), UTC).strftime(pattern)


CLOCKS: tuple[tuple[str, bool, Callable[[Fraction], Any]], ...] = (
    ("numbers as text", True, lambda t: str(int(t))),
    ("milliseconds under seconds", False, lambda t: int(t * 1000)),
    ("microseconds under seconds", False, lambda t: int(t * 10**6)),
    ("nanoseconds under seconds", False, lambda t: int(t * 10**9)),
    ("whole floats", True, float),
    ("exponents", False, lambda t: f"{float(t):.9e}"),
    ("before 1970", False, lambda t: int(t) - 2 * EPOCH),
    ("zone +02:00", True, lambda t: _in_zone(t, 2)),
    ("zone -0330", False, lambda t: _in_zone(t, -3.5).replace(":30", "30")),
    ("mixed zones", False, _mixed),
    ("Z", True, _formatted("%Y-%m-%dT%H:%M:%SZ")),
    ("with a blank", True, _formatted("%Y-%m-%d %H:%M:%S")),
    ("American", False, _formatted("%m/%d/%Y %H:%M:%S")),
    ("German", False, _formatted("%d.%m.%Y %H:%M:%S")),
    ("in words", False, _formatted("%a %b %d %H:%M:%S %Y")),
    ("without signs", False, _formatted("%Y%m%d%H%M%S")),
    ("with a zone's name", False, lambda t: _formatted("%Y-%m-%d %H:%M:%S")(t) + " UTC"),
    ("white space", True, lambda t: f" {int(t)} "),
    ("a mixture", False, lambda t: int(t) if int(t) % 2 else _in_zone(t, 0)),
    ("year 9999", False, lambda t: f"9999-12-31T{int(t)}"),
    ("thousands separated", False, lambda t: f"{int(t):,}"),
    ("far future", False, lambda t: int(t) + 10**11),
    ("year 0", False, lambda t: "0000-01-01"),
    ("too large", False, lambda t: int(t) * 10**12),
)


def parts(sheet: Sheet, chance: random.Random) -> None:
    """A table in two files of one folder, or of a folder a day."""
    sheet.in_parts = chance.choice(["items", "interactions"])
    sheet.folders = chance.choice(
        [("", ""), ("", ""), ("day=1/", "day=2/"), ("a/", "b/"), ("day=1/", ""), ("day=1/", "week=2/")]
    )
    sheet.odd(f"{sheet.in_parts} in two files, in {sheet.folders}", good=sheet.folders == ("", ""))


MOVED: dict[str, Callable[[Fraction], Fraction]] = {
    "before 1970": lambda t: t - 2 * EPOCH,
    "far future": lambda t: t + 10**11,
    "year 0": lambda t: Fraction(-62_167_219_200),
}
"""Ways of writing that move the times themselves."""
ODDITIES: tuple[Callable[[Sheet, random.Random], None], ...] = (
    ids,
    ids,
    an_id_missing,
    an_item_unknown,
    an_item_twice,
    rows_twice,
    no_rows,
    raw_texts,
    texts_missing,
    clocks,
    clocks,
    fine_clock,
    a_time_missing,
    times_equal,
    parts,
    parts,
)
LAST = (an_id_missing, an_item_unknown, a_time_missing, no_rows)
"""What changes single cells, after all that writes whole columns."""
