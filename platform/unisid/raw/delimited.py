"""Delimited text, as programs export it: its separator, its header, its rows, and errors that name the line."""

import contextlib
import csv
import io
import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from unisid.errors import ConfigError, DataError
from unisid.raw.decoding import check_encoding, decoded
from unisid.raw.files import read_whole
from unisid.raw.rows import listed, shown

SEPARATORS = {",": "','", ";": "';'", "\t": "tab", "|": "'|'", "\x01": "the byte 1"}
"""What is looked for in a header -> what it is called."""
SPELLED = {"tab": "\t", "\\t": "\t"}
"""How a tab is written on a command line."""
DECLARED = re.compile(rb"\s*sep=([\x01-\x7f])\r?\n")
"""The first line that Excel writes and reads: no header, but the separator."""
HEADER = 1 << 20
"""A header ends within so many bytes."""
BLOCK = 16 << 20
"""Bytes parsed at a time; a row is no longer."""
END = "\N{END OF TRANSMISSION}"
"""A row after the last, which a quotation that stays open takes in."""
Header = tuple[list[str], int, int]
"""Its cells, the byte after it and the lines up to there."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """How delimited text is written; what is not said is found out from the file."""

    delimiter: str = ""
    """The separator; empty: the one that makes most of the header."""
    encoding: str = ""
    """The encoding; empty: the one that a byte order mark names, or UTF-8."""
    names: tuple[str, ...] = ()
    """The columns, where there is no header line."""
    quoted: bool = True
    """Whether cells may stand in double quotes."""
    setting: str = "the header"
    """Where `names` is set, as errors call it."""

    def __post_init__(self) -> None:
        if len(self.separator) > 1 or self.separator in ('"', "\r", "\n"):
            raise ConfigError(
                f"catalog.dataset.delimiter: '{shown(self.delimiter)}' is no separator; it must be one "
                "character, such as ; or | or tab, and no quotation mark"
            )
        check_encoding(self.encoding)

    @property
    def separator(self) -> str:
        return SPELLED.get(self.delimiter, self.delimiter)


@dataclass(frozen=True)
class Text:
    """A file of delimited text, as UTF-8: its columns, and where its rows begin."""

    path: str
    data: bytes
    form: Format
    delimiter: str
    names: tuple[str, ...]
    """The columns; empty where one has no name."""
    start: int
    """The byte at which the first row begins."""
    before: int
    """How many lines there are before it."""

    def at(self, index: int) -> str:
        """The line that a row begins in, counted as an editor does."""
        line = next(itertools.islice(self.lines(), index, None), (0, []))[0]
        return f"line {line}" if line else f"row {index + 1}"

    def lines(self, more: Iterable[str] = ()) -> Iterator[tuple[int, list[str]]]:
        """Every row, and of further lines, with the line it begins in. Slow: for errors only."""
        csv.field_size_limit(sys.maxsize)
        text = io.TextIOWrapper(io.BytesIO(self.data[self.start :]), "utf8", newline="")
        reader = _reader(itertools.chain(text, more), self.delimiter, self.form)
        ended = 0
        for cells in reader:
            if cells:
                yield self.before + ended + 1, cells
            ended = reader.line_num

    def cause(self, wanted: Sequence[str]) -> str:
        """Why one of the wanted columns may not be there, as the end of an error; empty where nothing is seen."""
        if self.form.names:
            return ""
        others = [sign for sign in SEPARATORS if sign != self.delimiter and sign in "".join(self.names)]
        if len(self.names) == 1 and others:
            return (
                f"; its columns look separated by {SEPARATORS[others[0]]}, and catalog.dataset.delimiter is "
                f"{_called(self.delimiter)}: set it to what stands between them, or leave it empty"
            )
        if len(self.names) == 1:
            return "; if that is several columns, set catalog.dataset.delimiter to the one character between them"
        if not set(wanted) & set(self.names):
            return f"; if its first line is no header, name the columns in {self.form.setting}"
        return ""


def read_text(path: str, form: Format, wanted: Sequence[str] = (), default: str = ",") -> Text:
    """A file's header, and all of its text.

    Args:
        wanted: columns that the header should have; they decide between separators.
        default: the separator of a file in which none is found.
    """
    return text_of(read_whole(path), path, form, wanted, default)


def text_of(data: bytes, path: str, form: Format, wanted: Sequence[str] = (), default: str = ",") -> Text:
    """`read_text` of bytes already read; errors call them by the path."""
    data = decoded(data, path, form.encoding)
    declared = DECLARED.match(data)
    start, before = (declared.end(), 1) if declared else (0, 0)
    default = declared[1].decode() if declared else default
    choices = [form.separator] if form.separator else [default, *(sign for sign in SEPARATORS if sign != default)]
    headers = [_header(data, start, sign, form) for sign in choices]
    fits = [len(set(wanted) & set(cells)) if not form.names else len(cells) == len(form.names) for cells, *_ in headers]
    scores = [(fit, len(cells)) for fit, (cells, *_) in zip(fits, headers, strict=True)]
    best = scores.index(max(scores))
    cells, end, lines = headers[best]
    if not cells:
        what = "it must hold rows" if form.names else "its first line must hold the names of the columns"
        raise DataError(f"{path}: is empty; {what}")
    if form.names and tuple(cells) != form.names:
        if len(cells) != len(form.names):
            raise DataError(
                f"{path}, line {before + lines}: has {len(cells)} cells with {_called(choices[best])} "
                f"between them, {form.setting} names {len(form.names)} columns: {listed(form.names)}"
            )
        return Text(path, data, form, choices[best], form.names, start, before)
    return Text(path, data, form, choices[best], tuple(cells), end, before + lines)


def table_of(text: Text) -> tuple[pa.Table, dict[str, str]]:
    """All columns that have a name, as text (so '007' stays an id); and those without one that hold something."""
    unique = [str(place) for place in range(len(text.names))]
    if re.compile(rb"[^\r\n]").search(text.data, text.start):
        table = _parsed(text, unique)
    else:
        table = pa.table({name: pa.array([], pa.string()) for name in unique})
    named = [place for place, name in enumerate(text.names) if name]
    unread = {
        f"column {place + 1}": "no name"
        for place, name in enumerate(text.names)
        if not name and pc.any(pc.not_equal(table[place], "")).as_py()
    }
    return table.select(named).rename_columns([text.names[place] for place in named]), unread


def _header(data: bytes, start: int, delimiter: str, form: Format) -> Header:
    """The first line that is not empty, over several lines where a quoted cell is."""
    csv.field_size_limit(sys.maxsize)
    lines = data[start : start + HEADER].splitlines(keepends=True)
    reader = _reader((line.decode("utf8", "ignore") for line in lines), delimiter, form)
    cells: list[str] = next((cells for cells in reader if any(cells) or len(cells) > 1), [])
    return [cell.strip() for cell in cells], start + sum(map(len, lines[: reader.line_num])), reader.line_num


def _reader(lines: Iterable[str], delimiter: str, form: Format) -> Any:
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if form.quoted else csv.QUOTE_NONE)


def _parsed(text: Text, names: list[str]) -> pa.Table:
    try:
        table = _read(text, names, None)
    except pa.ArrowInvalid as error:
        ragged: list[pacsv.InvalidRow] = []
        with contextlib.suppress(pa.ArrowInvalid):
            _read(text, names, ragged)
        if ragged:
            raise _ragged(text, ragged[0]) from None
        cause = f"a row is longer than {BLOCK >> 20} MiB" if "straddling" in str(error) else str(error)
        raise DataError(
            f"{text.path}: cannot be read as a table with {_called(text.delimiter)} between columns "
            f"({shown(cause)}); look for a quotation mark that is never closed"
        ) from None
    _check_end(text, table)
    return table


def _read(text: Text, names: list[str], ragged: list[pacsv.InvalidRow] | None) -> pa.Table:
    """The rows; those of another length are put on the list, if there is one, which is slower: it counts rows."""

    def refuse(row: pacsv.InvalidRow) -> str:
        if ragged is not None:
            ragged.append(row)
        return "error"

    reading = pacsv.ReadOptions(column_names=names, use_threads=ragged is None, block_size=BLOCK)
    parsing = pacsv.ParseOptions(
        delimiter=text.delimiter,
        quote_char='"' if text.form.quoted else False,
        newlines_in_values=text.form.quoted,
        invalid_row_handler=refuse,
    )
    converting = pacsv.ConvertOptions(column_types={name: pa.string() for name in names})
    return pacsv.read_csv(pa.BufferReader(pa.py_buffer(text.data).slice(text.start)), reading, parsing, converting)


def _ragged(text: Text, row: pacsv.InvalidRow) -> DataError:
    at = text.at(row.number - 1) if row.number else "a row"
    return DataError(
        f"{text.path}, {at}: has {row.actual_columns} cells with {_called(text.delimiter)} between them, "
        f"its columns are {row.expected_columns}: '{shown(row.text)}'; give every row as many, and put "
        "cells in double quotes that hold the separator"
    )


def _check_end(text: Text, table: pa.Table) -> None:
    """Raises DataError where a quotation that stays open took all rows after it into one cell."""
    last = table[-1][-1].as_py() if table.num_rows else ""
    if not text.form.quoted or ("\n" not in last and "\r" not in last):
        return
    for line, cells in text.lines([END]):  # noqa: B007
        pass
    if cells != [END]:
        raise DataError(
            f"{text.path}, line {line}: a quotation mark is never closed, and what follows it is one "
            f"cell: '{shown(last)}'; close it, or double it where it belongs to the text"
        )


def _called(delimiter: str) -> str:
    return SEPARATORS.get(delimiter, f"'{shown(delimiter)}'")
