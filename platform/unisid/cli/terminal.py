"""What a command shows in a terminal: lines with progress bars below them, and tables with rules."""

import logging
from collections.abc import Sequence
from typing import IO, cast

from rich.box import SIMPLE_HEAD
from rich.console import Console as Rich
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from unisid.console import Console
from unisid.log import Advance, Printing
from unisid.masked import masked
from unisid.printable import printable


class Drawing:
    """A text stream for what is drawn: it reaches the terminal as it is, with cursor movements."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def write(self, text: str) -> int:
        return self.console.draw(text)

    def flush(self) -> None:
        self.console.flush()

    def isatty(self) -> bool:
        return True

    @property
    def encoding(self) -> str:
        return str(self.console.encoding or "ascii")


def drawing(console: Console) -> Rich:
    """A drawer on a console, which shows text as it is, without markup."""
    return Rich(file=cast(IO[str], Drawing(console)), highlight=False, markup=False, emoji=False, force_terminal=True)


class Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.3g}/s" if task.speed else "")


class Terminal(Printing):
    """Prints lines, and draws a bar below them for each count towards a known total: rate, and time that remains."""

    def __init__(self, console: Console) -> None:
        super().__init__("stdout")
        self.setLevel(1)  # every move of a count; lines are shown from `lowest`
        self.lowest = logging.INFO
        self.rich = drawing(console)
        self.bars = Bars(
            TextColumn("      {task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            Rate(),
            TimeRemainingColumn(compact=True),
            console=self.rich,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self.tasks: dict[tuple[str, str], TaskID] = {}

    def emit(self, record: logging.LogRecord) -> None:
        artifact, advance = str(getattr(record, "artifact", "")), getattr(record, "advance", None)
        ends = getattr(record, "is_end", False)
        self._remove([key for key in self.tasks if ends or key[0] != artifact])
        if isinstance(advance, Advance):
            self._move(artifact, advance)
        if record.levelno >= self.lowest and not (isinstance(advance, Advance) and advance.is_all):
            self.rich.print(Text(self.format(record)), soft_wrap=True)

    def close(self) -> None:
        self._remove(list(self.tasks))
        super().close()

    def _move(self, artifact: str, advance: Advance) -> None:
        """Draw a bar where its count is; one that is full goes."""
        key = artifact, advance.name
        if advance.done >= advance.total:
            return self._remove([key] if key in self.tasks else [])
        if key not in self.tasks:
            self.bars.start()
            name = printable(advance.name)
            self.tasks[key] = self.bars.add_task(name, total=advance.total, completed=advance.done)
        self.bars.update(self.tasks[key], completed=advance.done)

    def _remove(self, keys: Sequence[tuple[str, str]]) -> None:
        for key in keys:
            self.bars.remove_task(self.tasks.pop(key))
        if not self.tasks:
            self.bars.stop()


def table(console: Console, rows: Sequence[Sequence[str]]) -> None:
    """Draw a table whose first row is its head; long cells are folded, none is cut."""
    head, *body = [[Text(masked(printable(cell))) for cell in row] for row in rows]
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for cell in head:
        drawn.add_column(cell, overflow="fold")
    for row in body:
        drawn.add_row(*row)
    drawing(console).print(drawn)
