"""What errors call a row of a raw table, and how they show a value; what a reader left out of a table."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

LONGEST = 60
"""How many characters of a value an error shows."""
MOST = 20
"""How many names an error lists."""
UNREAD = b"unread"


class Rows(Protocol):
    """The rows of a table that was read, by index from 0."""

    def at(self, index: int) -> str:
        """The row as errors name it: 'row 5', 'line 7'."""
        ...


@dataclass(frozen=True)
class Numbered:
    """Rows that are counted from the first one."""

    first: int = 1
    """The number of the first row."""
    noun: str = "row"
    """What is counted."""

    def at(self, index: int) -> str:
        return f"{self.noun} {index + self.first}"


@dataclass(frozen=True)
class Lines:
    """Rows of a text file whose lines are known."""

    lines: Any
    """The line of each row, from 1."""

    def at(self, index: int) -> str:
        return f"line {self.lines[index]}"


def shown(value: object) -> str:
    """A value as an error shows it: one line, no control characters, cut where it is long."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value)[: LONGEST + 1])
    return f"{text[:LONGEST]}..." if len(text) > LONGEST else text


def listed(names: Iterable[str]) -> str:
    """Names as an error lists them: the first of many, and how many more there are."""
    known = list(names)
    more = f", ... ({len(known) - MOST} more)" if len(known) > MOST else ""
    return ", ".join(map(shown, known[:MOST])) + more


def with_unread(table: pa.Table, unread: Mapping[str, str], complete: bool = True) -> pa.Table:
    """The table, which remembers the columns that were left out: name -> their type.

    Args:
        complete: whether a column that is in neither is missing; in lines of JSON it is only never given.
    """
    return table.replace_schema_metadata({UNREAD: json.dumps([dict(unread), complete])})


def unread_of(table: pa.Table) -> tuple[dict[str, str], bool]:
    """The account of unread rows that `with_unread` attached; of any other table, that none was left out."""
    unread, complete = json.loads((table.schema.metadata or {}).get(UNREAD, b"[{}, true]"))
    return unread, complete
