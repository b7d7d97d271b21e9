"""What errors call a row of a raw table: its number, or the line of the file that it begins in."""

from dataclasses import dataclass
from typing import Protocol


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
