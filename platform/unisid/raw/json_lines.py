"""Lines of JSON, one object a line, as research code and many programs write tables (.jsonl, .ndjson, .json)."""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pajson

from unisid.errors import DataError
from unisid.raw.content import marked_encoding
from unisid.raw.decoding import decoded
from unisid.raw.files import blocks, head, read_whole
from unisid.raw.rows import Lines, shown, with_unread

FIRST = 1000
"""How many lines of a block decide the types that are read fast; where a later line differs, all are read slowly."""
FAST: dict[type | None, pa.DataType] = {int: pa.int64(), float: pa.float64(), str: pa.string()}
Line = dict[str, Any]
DECODER = json.JSONDecoder(parse_constant=lambda name: None)


def is_json(start: bytes) -> bool:
    """Whether a file with these first bytes holds JSON: no header of a table begins like that."""
    text = "".join(start.decode(marked_encoding(start[:4]) or "utf8", "ignore").split())
    return text.startswith(("{", "[{", "[[", "[]"))


def parsed(line: str) -> Any:
    """The JSON of a line. NaN and infinities, which JSON lacks and programs write for what is not there, are absent.

    Raises ValueError where it is none, or holds one half of a pair of characters, which is no text.
    """
    found = DECODER.decode(line)
    if "\\ud" in line.lower():
        json.dumps(found, ensure_ascii=False).encode("utf8")
    return found


def objects(path: str, number: int, text: str, parse: Callable[[str], Any] = parsed) -> tuple[list[Line], list[int]]:
    """The objects of a text, one a line, and their lines; `number` is that of the first line."""
    found, lines = [], []
    for index, line in enumerate(text.split("\n"), number):
        if line.strip():
            try:
                value = parse(line)
            except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
                raise DataError(
                    f"{path}, line {index}: is not a whole object ({shown(error)}): '{shown(line)}'; one "
                    f"object must stand on each line: {_remedy(line)}"
                ) from None
            if not isinstance(value, dict):
                raise DataError(
                    f"{path}, line {index}: must be an object of fields, is '{shown(line)}'; write one "
                    "object a line, such as `jq -c '.[]'` makes of an array"
                )
            found.append(value)
            lines.append(index)
    return found, lines


def _remedy(line: str) -> str:
    """The remedy for a file whose lines are not whole JSON values, by one such line."""
    start = line.strip()
    if start.startswith("["):
        return "`jq -c '.[]'` makes such lines of an array"
    return "`jq -c .` makes such lines" if start == "{" else "fetch the file again, or write it so"


def joined_text(value: Any) -> str:
    """Text, or texts in lists of any depth, joined by blanks; anything else is none."""
    if isinstance(value, str):
        return value
    return " ".join(filter(None, map(joined_text, value))) if isinstance(value, list) else ""


@dataclass
class _Read:
    """What was read of a file so far."""

    tables: list[pa.Table] = field(default_factory=list)
    lines: list[Any] = field(default_factory=list)
    kinds: dict[str, Counter[str]] = field(default_factory=dict)
    """Of each field, what its values are."""


def read_lines(
    path: str, typed: Sequence[str], texts: Sequence[str] = (), every: bool = False, encoding: str = ""
) -> tuple[pa.Table, Lines]:
    """A file's rows, and the line of each. A field that a line lacks is absent there.

    Args:
        typed: fields that are read as what they are: ids and times.
        texts: fields that are read as text.
        every: whether all other fields that hold text are read too.
    """
    read = _Read()
    for number, block in text_blocks(path, encoding):
        if texts or not _read_fast(read, number, block, typed):
            _read_slowly(read, path, number, block, typed, bool(texts))
    count = sum(map(len, read.lines))
    if not count:
        raise DataError(f"{path}: is empty; it must hold one object a line")
    rest = [name for name in read.kinds if every and name not in typed and _is_text(read.kinds[name])]
    chosen = [name for name in dict.fromkeys([*typed, *texts, *rest]) if name in read.kinds]
    for name in texts:
        if name in chosen and read.kinds[name]["objects"]:
            raise DataError(f"{path}, field '{name}': holds objects; text must be strings or lists of strings")
    unread = {name: _most(kinds) for name, kinds in read.kinds.items() if name not in chosen}
    table = pa.table({name: _whole(path, name, [_column(piece, name) for piece in read.tables]) for name in chosen})
    return with_unread(table, unread, complete=False), Lines(np.concatenate(read.lines))


def text_blocks(path: str, encoding: str = "") -> Iterator[tuple[int, bytes]]:
    """Whole lines in UTF-8, and the number of the first.

    Raises:
        DataError: where they are no text in that encoding (or the one that a byte order mark names), with the line.
    """
    codec = (marked_encoding(head(path)[:4]) or encoding or "utf8").lower().replace("_", "-")
    if codec.startswith(("utf-16", "utf-32", "utf16", "utf32")):  # whose lines do not end in one byte
        yield 1, decoded(read_whole(path), path, encoding)
        return
    for number, block in blocks(path):
        yield number, decoded(block, path, encoding, number)


def _read_fast(read: _Read, number: int, block: bytes, typed: Sequence[str]) -> bool:
    """Read fields of one type each; False, and nothing read, where they are not or there is more to it."""
    try:
        first = [parsed(line.decode()) for line in block.split(b"\n", FIRST)[:FIRST] if line.strip()]
        schema = pa.schema({name: FAST[_type([line.get(name) for line in first])] for name in typed})
        options = pajson.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        table = pajson.read_json(io.BytesIO(block), parse_options=options)
    except (pa.ArrowInvalid, ValueError, AttributeError, KeyError, RecursionError):
        return False
    if table.num_rows != block.count(b"\n") + (not block.endswith(b"\n")):
        return False  # some lines are empty: which ones, the slow way sees
    _count(read, first)
    read.tables.append(table)
    read.lines.append(np.arange(number, number + table.num_rows))
    return True


def _type(values: list[Any]) -> type | None:
    found = {type(value) for value in values if value is not None}
    return found.pop() if len(found) == 1 else None


def _read_slowly(read: _Read, path: str, number: int, block: bytes, typed: Sequence[str], texts: bool) -> None:
    rows, lines = objects(path, number, block.decode("utf8"))
    _count(read, rows)
    names = dict.fromkeys(name for row in rows for name in row) if texts else ()
    columns = {name: pa.array([_written(row.get(name)) for row in rows], pa.string()) for name in names}
    columns |= {name: values_of(path, name, [row.get(name) for row in rows], lines) for name in typed}
    if lines:
        read.tables.append(pa.table(columns))
        read.lines.append(np.array(lines))


def values_of(path: str, name: str, values: list[Any], lines: Sequence[int]) -> pa.Array:
    """The values of a field as they are, or as text where they are of several types; lines are those of the file.

    Raises DataError where some of several types are lists or objects.
    """
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # of several types, or beyond the integers of Arrow
        for line, value in zip(lines, values, strict=True):
            if isinstance(value, (list, dict)):
                raise DataError(
                    f"{path}, line {line}: the field '{name}' is '{shown(value)}'; it must be one number or text"
                ) from None
        return pa.array([_written(value) for value in values], pa.string())


def _whole(path: str, name: str, pieces: list[pa.Array]) -> pa.ChunkedArray:
    """The pieces of a column in one type: of numbers and texts, text."""
    kinds = {piece.type for piece in pieces} - {pa.null()}
    try:
        kind = kinds.pop() if len(kinds) == 1 else pa.string()
        return pa.chunked_array([chunk.cast(kind) for piece in pieces for chunk in _chunks(piece)], kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise DataError(
            f"{path}: the field '{name}' holds {' and '.join(sorted(map(str, kinds)))} in different lines; "
            "give it one type"
        ) from None


def _chunks(piece: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return piece.chunks if isinstance(piece, pa.ChunkedArray) else [piece]


def _column(table: pa.Table, name: str) -> pa.Array | pa.ChunkedArray:
    return table[name] if name in table.column_names else pa.nulls(table.num_rows)


def _count(read: _Read, rows: list[Line]) -> None:
    for row in rows:
        for name, value in row.items():
            read.kinds.setdefault(name, Counter())[_kind(value)] += 1


def _kind(value: Any) -> str:
    if isinstance(value, list):
        kinds = {_kind(part) for part in value} - {"nothing"}
        return (
            "nothing" if not kinds else kinds.pop() if len(kinds) == 1 else "objects" if "objects" in kinds else "text"
        )
    if isinstance(value, str):
        return "text"
    return "nothing" if value is None else "objects" if isinstance(value, dict) else "numbers"


def _is_text(kinds: Counter[str]) -> bool:
    return kinds["text"] > 0 and not kinds["objects"]


def _most(kinds: Counter[str]) -> str:
    given = {kind: count for kind, count in kinds.items() if kind != "nothing"}
    return max(given, key=lambda kind: given[kind]) if given else "nothing"


def _written(value: Any) -> str | None:
    """Text of a value: lists joined by blanks, whole numbers without a fraction; None for what is no text."""
    if value is None or isinstance(value, (str, dict)):
        return value if isinstance(value, str) else None
    if isinstance(value, list):
        return " ".join(filter(None, map(_written, value)))
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return str(int(value)) if whole else str(value)
