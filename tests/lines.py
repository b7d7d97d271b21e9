"""The lines that the product logs, as the console shows them."""

import contextlib
import logging
import threading
from collections.abc import Iterator

from unisid.log import INDENT, ROOT, Lines

logging.getLogger(ROOT).setLevel(logging.INFO)  # for all threads of the tests: two that set it would undo one another


class Kept(logging.Handler):
    """Keeps every line that the thread logs which made it."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines, self.thread = lines, threading.get_ident()
        self.setFormatter(Lines())

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self.thread:
            self.lines.append(self.format(record).removeprefix(INDENT))


@contextlib.contextmanager
def logged(lines: list[str] | None = None) -> Iterator[list[str]]:
    """Inside, what this thread logs goes to the end of these lines, without its indentation."""
    handler = Kept([] if lines is None else lines)
    logging.getLogger(ROOT).addHandler(handler)
    try:
        yield handler.lines
    finally:
        logging.getLogger(ROOT).removeHandler(handler)
