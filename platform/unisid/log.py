"""News of the product as records of the loggers under `unisid`, one logger a module.

A record is cleaned before any handler receives it: without secrets (`unisid.masked`), without characters that a
terminal would obey (`unisid.printable`). Nothing here attaches a handler unless it is called: an application of its own
configures the logger `unisid` as it likes; the command line uses `logged_to`.
"""

import contextlib
import datetime
import json
import logging
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, TextIO, get_args

from unisid.masked import masked
from unisid.printable import printable

ROOT = "unisid"
"""The logger above all modules' loggers."""
Format = Literal["text", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)
INDENT = " " * 6
"""Before the lines of an artifact's making, below the line that names the artifact."""
TICK = 5
"""The level of a count that moved since its last line: below details, and only for what draws it."""
ARTIFACT: ContextVar[str] = ContextVar("artifact", default="")
"""The address of the artifact that this thread makes; empty for none."""
SILENT: ContextVar[bool] = ContextVar("silent", default=False)
"""Whether what this thread logs is dropped."""


@dataclass(frozen=True)
class Advance:
    """How far a count towards a known total is: what a record has as `advance`, for a bar."""

    name: str
    done: int
    total: int
    is_all: bool = False
    """Whether the record's line has nothing else, so that a bar may stand in its place."""


class Cleaned(logging.Filter):
    """Cleans a record's text, and notes which artifact was being made."""

    def filter(self, record: logging.LogRecord) -> bool:
        if SILENT.get():
            return False
        artifact = record.__dict__["artifact"] = ARTIFACT.get()
        # one line of a stage is one line: its values are data, and a line break in them passes for no other line
        record.msg = masked(printable(record.getMessage(), lines=not artifact))
        record.args = None
        return True


CLEANED = Cleaned()


def logger(name: str) -> logging.Logger:
    """The logger of a module, by its `__name__`; what it logs is cleaned."""
    found = logging.getLogger(name)
    found.addFilter(CLEANED)
    return found


@contextlib.contextmanager
def about(address: str) -> Iterator[None]:
    """Inside, what this thread logs is about the artifact of this address."""
    before = ARTIFACT.set(address)
    try:
        yield
    finally:
        ARTIFACT.reset(before)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Inside, what this thread logs is dropped: for one of many trials, of which the driver logs a line each."""
    before = SILENT.set(True)
    try:
        yield
    finally:
        SILENT.reset(before)


class Lines(logging.Formatter):
    """A line as a person reads it; warnings say that they are."""

    def __init__(self, *, detailed: bool = False) -> None:
        """`detailed`: with the time and the logger's name."""
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s" if detailed else None)
        self.detailed = detailed

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the standard library's name
        if self.detailed:
            return super().formatMessage(record)
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        about_making = getattr(record, "artifact", "") and not record.name.startswith(f"{ROOT}.runtime")
        return f"{INDENT if about_making else ''}{level}{record.message}"

    def formatException(self, ei: object) -> str:  # noqa: N802
        return masked(printable(super().formatException(ei), lines=True))  # type: ignore[arg-type]


class JsonLines(Lines):
    """A JSON object a line: time, level, logger and message, and where there are: artifact, figures, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        found: dict[str, object] = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        found |= {name: value for name in ("artifact", "figures") if (value := getattr(record, name, None))}
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        return json.dumps(found, default=str)


class Printing(logging.Handler):
    """Prints to standard output or standard error, whichever stream that is by then."""

    def __init__(self, to: Literal["stdout", "stderr"]) -> None:
        super().__init__()
        self.to = to

    def emit(self, record: logging.LogRecord) -> None:
        stream: TextIO = getattr(sys, self.to)
        print(self.format(record), file=stream, flush=True)


@contextlib.contextmanager
def logged_to(handler: logging.Handler, level: int, form: Format = "text") -> Iterator[None]:
    """Inside, records of this level and above go to the handler and nowhere else; a handler with a level of its own
    that is lower gets those too, and shows what it likes."""
    found = logging.getLogger(ROOT)
    before = found.level, found.propagate
    handler.setFormatter(JsonLines() if form == "json" else Lines(detailed=level < logging.INFO))
    found.addHandler(handler)
    found.setLevel(min(level, handler.level or level))
    found.propagate = False
    try:
        yield
    finally:
        found.removeHandler(handler)
        handler.close()
        found.level, found.propagate = before
        found.setLevel(before[0])
