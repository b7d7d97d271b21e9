"""Oddities of text files: separators, encodings, headers, ragged rows, archives."""

import gzip
import io
import random
import zipfile
from collections.abc import Callable

from tests.fuzz.shops.sheet import Sheet

Change = Callable[[Sheet, random.Random], None]


def separator(sheet: Sheet, chance: random.Random) -> None:
    sheet.separator = chance.choice([";", "|", "\t", ",", ":", "::", " ", "\x1f", "a"])
    sheet.odd(f"separator {sheet.separator!r} in .{sheet.form}")


def encoding(sheet: Sheet, chance: random.Random) -> None:
    sheet.encoding = chance.choice(
        ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-32", "shift_jis", "utf-8-sig", "utf-7", "cp500"]
    )
    sheet.odd(f"encoding {sheet.encoding}", good=sheet.encoding == "utf-8-sig")
    for text in [*sheet.world.titles, *sheet.world.descriptions]:  # what it lacks becomes question marks
        sheet.decidable &= text.encode(sheet.encoding, "replace").decode(sheet.encoding) == text
    sheet.decidable &= sheet.encoding != "utf-7"  # which is ASCII too


def newline(sheet: Sheet, chance: random.Random) -> None:
    sheet.newline = chance.choice(["\r\n", "\r", "\n\r", "\n\n", "\r\r\n", "\x0b", "\u2028"])
    sheet.odd(f"line ends {sheet.newline!r}", good=sheet.newline == "\r\n")


def quotes(sheet: Sheet, chance: random.Random) -> None:
    sheet.quote_all = True
    sheet.odd("all cells quoted", good=True)


def lines_in_cells(sheet: Sheet, chance: random.Random) -> None:
    item = chance.randrange(len(sheet.world.titles))
    sheet.world.descriptions[item] = sheet.items["description"][item] = 'two\nlines, "quoted"'
    sheet.odd("a line break in a cell", good=sheet.newline == "\n")


def header(sheet: Sheet, chance: random.Random) -> None:
    """A header that is not as the settings say."""
    table = chance.choice([sheet.items, sheet.rows])
    name = chance.choice(list(table))
    new = chance.choice(
        [
            name.upper(),
            f" {name} ",
            name[:-1],
            "",
            name.replace("_", " "),
            "title",
            "item_id",
            "user_id",
            "\x00",
            "\x1b[31m" + name,
            "é" * 300,
            f'"{name}"',
            "timestamp",
        ]
    )
    if new in table:
        table[f"{new}\u200b"] = table.pop(name)
        new = f"{new}\u200b"
    else:
        table[new] = table.pop(name)
    sheet.odd(f"header {name!r} is {new!r}")
    if name == "description":
        sheet.decidable = False


def column_twice(sheet: Sheet, chance: random.Random) -> None:
    table = chance.choice(["items", "interactions"])

    def change(data: bytes) -> bytes:
        sign = sheet.separator.encode(sheet.encoding)
        return b"\n".join(line + sign + line.split(sign)[0] for line in data.rstrip(b"\n").split(b"\n"))

    sheet.changes[table] = change
    sheet.odd(f"the first column of {table} twice")


def columns_more(sheet: Sheet, chance: random.Random) -> None:
    for table in (sheet.items, sheet.rows):
        height = max(map(len, table.values()), default=0)
        table["weight"] = [chance.choice(["", "1", "x"]) for _ in range(height)]
    if chance.random() < 0.5:
        sheet.items = dict(reversed(sheet.items.items()))
        sheet.rows = dict(reversed(sheet.rows.items()))
    sheet.odd("more columns, in another order", good=True)


def column_missing(sheet: Sheet, chance: random.Random) -> None:
    table = chance.choice([sheet.items, sheet.rows])
    name = chance.choice(list(table))
    del table[name]
    sheet.odd(f"no column {name}")
    sheet.decidable = name != "description" and sheet.decidable


def ragged(sheet: Sheet, chance: random.Random) -> None:
    """One line with a cell more or less."""
    table = chance.choice(["items", "interactions"])
    more = chance.random() < 0.5

    def change(data: bytes) -> bytes:
        lines = data.split(b"\n")
        row = min(1, len(lines) - 1)
        sign = sheet.separator.encode(sheet.encoding)
        lines[row] = lines[row] + sign + b"more" if more else lines[row].rpartition(sign)[0]
        return b"\n".join(lines)

    sheet.changes[table] = change
    sheet.odd(f"a cell {'more' if more else 'less'} in a row of {table}")


def bytes_changed(sheet: Sheet, chance: random.Random) -> None:
    """Anything at the level of bytes."""
    table = chance.choice(["items", "interactions"])
    name, change = chance.choice(list(CHANGES.items()))
    sheet.changes[table] = change
    sheet.odd(f"{table}: {name}", good=name in ("no last line end", "blank last lines"))
    sheet.decidable &= name not in ("cut", "one bit", "noise at the end", "one line only")
    if sheet.form == "tsv":  # where a comma is a sign of the text
        sheet.decidable &= name != "a quote left open"
    if sheet.form == "jsonl":  # whose first line is a row
        sheet.decidable &= name not in ("no header", "header only")


def named_oddly(sheet: Sheet, chance: random.Random) -> None:
    """The file's name says something else than its bytes."""
    table = chance.choice(["items", "interactions"])
    name = chance.choice(
        [
            f"{table}.{sheet.form}.gz",
            f"{table}.txt",
            table,
            f"{table}.parquet",
            f"{table}.csv",
            f"{table}.tsv",
            f"{table}.zip",
            f"{table}.bz2",
            f"{table}.xlsx",
            f"{table}.json",
            f"my {table}#1?.{sheet.form}",
            f"é%20{table}.{sheet.form}",
            f"{table}.{sheet.form.upper()}",
            f"{table}.csv.zst",
        ]
    )
    sheet.names[table] = name
    sheet.odd(f"{sheet.form} under the name {name}", good=name == f"{table}.{sheet.form}")
    if chance.random() < 0.2 and name.endswith(".gz"):
        sheet.changes[table] = lambda data: b"RAW" + data


def in_a_folder(sheet: Sheet, chance: random.Random) -> None:
    """The table is the only file of a folder that is named."""
    table = chance.choice(["items", "interactions"])
    sheet.names[table] = f"{table}/part-0.{sheet.form}"
    sheet.dataset["folder of"] = table
    sheet.odd(f"{table} in a folder", good=sheet.form in ("csv", "tsv", "parquet"))


def _zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("table.csv", data)
    return out.getvalue()


def _flipped(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[len(data) * 2 // 3] ^= 16
    return bytes(changed)


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "no last line end": lambda data: data.rstrip(b"\r\n"),
    "blank last lines": lambda data: data + b"\n\n",
    "blank first line": lambda data: b"\n" + data,
    "a comment first": lambda data: b"# made by hand\n" + data,
    "a title line first": lambda data: b"My shop\n" + data,
    "an Excel line first": lambda data: b"sep=,\n" + data,
    "empty": lambda data: b"",
    "white space": lambda data: b" \n\t\n",
    "header only": lambda data: data.partition(b"\n")[0] + b"\n",
    "no header": lambda data: data.partition(b"\n")[2],
    "one line only": lambda data: b"\n".join(data.split(b"\n")[:2]) + b"\n",
    "zip": _zipped,
    "gzip": gzip.compress,
    "gzip cut": lambda data: gzip.compress(data)[:-9],
    "NUL bytes": lambda data: data.replace(b",", b",\x00", 3),
    "bad UTF-8": lambda data: data.replace(b"e", b"\xe9", 1),
    "a quote left open": lambda data: data.replace(b",", b',"', 1),
    "cut": lambda data: data[: len(data) * 2 // 3],
    "one bit": _flipped,
    "noise at the end": lambda data: data + b"\x80\x81\x82\x00",
    "Parquet's mark": lambda data: b"PAR1" + data + b"PAR1",
    "HTML": lambda data: b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "an XLSX mark": lambda data: b"PK\x03\x04" + data,
    "Git LFS": lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "a JSON array": lambda data: b'[{"item_id": "i0", "title": "x"}]',
}
ODDITIES: tuple[Change, ...] = (
    separator,
    encoding,
    newline,
    quotes,
    lines_in_cells,
    header,
    column_twice,
    columns_more,
    column_missing,
    ragged,
    bytes_changed,
    bytes_changed,
    bytes_changed,
    named_oddly,
    in_a_folder,
)
