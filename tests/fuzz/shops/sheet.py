"""A shop's two tables on their way to disk: cells, columns, and how they are to be written."""

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz.shops.plain_shop import World

Cells = dict[str, list[Any]]


@dataclass
class Sheet:
    """What will be written. Oddities change it; the world says what it means."""

    world: World
    items: Cells
    rows: Cells
    form: str
    """csv, tsv, jsonl or parquet."""
    item_names: list[str]
    """The items' ids as the catalog has them."""
    user_names: list[str]
    dataset: dict[str, Any] = field(default_factory=dict)
    catalog: dict[str, Any] = field(default_factory=dict)
    separator: str = ","
    encoding: str = "utf8"
    newline: str = "\n"
    quote_all: bool = False
    types: dict[str, pa.DataType] = field(default_factory=dict)
    """Arrow types by column, for Parquet."""
    changes: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    """Table -> what is done to its bytes at the end."""
    names: dict[str, str] = field(default_factory=dict)
    """Table -> its file's name."""
    in_parts: str = ""
    """The table that is written in two files of a folder."""
    folders: tuple[str, str] = ("", "")
    """Of these, the folders in that folder."""
    good: bool = True
    """Whether a refusal would be wrong."""
    decidable: bool = True
    """Whether the world says what an answer must be; else only that there is a whole answer or a refusal."""
    told_by_title: bool = False
    """Whether items are told apart by titles, and users by what they took: their ids may be written in many ways."""
    retitled: bool = False
    """Whether the titles are not the world's."""
    note: list[str] = field(default_factory=list)

    def odd(self, note: str, *, good: bool = False, decidable: bool = True) -> None:
        """Note a deviation that was put into the sheet."""
        self.note.append(note)
        self.good &= good
        self.decidable &= decidable


def plain(world: World, form: str, chance: random.Random) -> Sheet:
    """The world as a shop would write it."""
    clock = chance.choice([_seconds, _iso])
    items = {
        "item_id": [f"i{n}" for n in range(len(world.titles))],
        "title": list(world.titles),
        "description": list(world.descriptions),
    }
    rows = {
        "user_id": [f"u{user}" for user, _, _ in world.rows],
        "item_id": [f"i{item}" for _, item, _ in world.rows],
        "timestamp": [clock(time) for _, _, time in world.rows],
    }
    catalog = {
        "ties": chance.choice(["seed", "row"]),
        "seed": chance.randrange(100),
        "keep_cold_items": chance.random() < 0.3,
        "history_length": chance.randint(1, 5),
    }
    names = [f"i{n}" for n in range(len(world.titles))], [f"u{n}" for n in range(world.num_users)]
    return Sheet(world, items, rows, form, *names, catalog=catalog, separator="\t" if form == "tsv" else ",")


def _seconds(time: Fraction) -> int | float:
    return int(time) if time.denominator == 1 else float(time)


def _iso(time: Fraction) -> str:
    return datetime.fromtimestamp(float(time), UTC).strftime("%Y-%m-%dT%H:%M:%S")


def write(sheet: Sheet, folder: Path) -> dict[str, str]:
    """Write both tables; where they are."""
    paths = {}
    for table, cells in (("items", sheet.items), ("interactions", sheet.rows)):
        if table == sheet.in_parts:
            paths[table] = _write_parts(sheet, table, cells, folder / table)
            continue
        path = folder / sheet.names.get(table, f"{table}.{sheet.form}")
        path.parent.mkdir(exist_ok=True)
        if sheet.form == "parquet":
            pq.write_table(_arrow(sheet, cells), path)
        else:
            path.write_bytes(
                _text(sheet, cells).encode(sheet.encoding, "surrogatepass" if "utf" in sheet.encoding else "replace")
            )
        data = sheet.changes.get(table, bytes)(path.read_bytes())
        path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") and not data.startswith(b"RAW") else data)
        paths[table] = str(path)
    return paths


def _write_parts(sheet: Sheet, table: str, cells: Cells, folder: Path) -> str:
    """Write a table in two files, the second with its columns in another order; the folder that they are in."""
    height = max(map(len, cells.values()))
    first = {name: values[: height // 2] for name, values in cells.items()}
    second = {name: values[height // 2 :] for name, values in reversed(cells.items())}
    for number, part in enumerate((first, second)):
        sheet.names[table] = f"{table}/{sheet.folders[number]}part-{number}.{sheet.form}"
        path = folder.parent / sheet.names[table]
        path.parent.mkdir(parents=True, exist_ok=True)
        if sheet.form == "parquet":
            pq.write_table(_arrow(sheet, part), path)
        else:
            path.write_text(_text(sheet, part), encoding="utf8", newline="")
    return str(folder)


def _arrow(sheet: Sheet, cells: Cells) -> pa.Table:
    columns = {name: _column(values, sheet.types.get(name)) for name, values in cells.items()}
    return pa.table(list(columns.values()), names=list(columns))


def _column(values: list[Any], kind: pa.DataType | None) -> pa.Array:
    if kind is not None and pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode()
    return pa.array(values, kind)


def _text(sheet: Sheet, cells: Cells) -> str:
    height = max((len(values) for values in cells.values()), default=0)
    if sheet.form == "jsonl":
        return "".join(
            json.dumps({name: values[n] for name, values in cells.items()}) + sheet.newline for n in range(height)
        )
    lines = [list(cells), *([values[n] for values in cells.values()] for n in range(height))]
    return "".join(sheet.separator.join(_cell(value, sheet) for value in line) + sheet.newline for line in lines)


def _cell(value: Any, sheet: Sheet) -> str:
    text = "" if value is None else str(value)
    if sheet.quote_all or any(sign in text for sign in (sheet.separator, '"', "\n", "\r")):
        return '"' + text.replace('"', '""') + '"'
    return text
