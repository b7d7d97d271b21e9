"""Standard output and standard error of a command: whatever is printed arrives as far as it can, and costs no work.

What is printed is cleaned of what a terminal would obey (`unisid.printable`) and of the secrets in URIs
(`unisid.masked`), and characters that the terminal's encoding lacks are shown by their escapes. A reader that leaves
early (`| head`) ends a command that only prints, as it ends those of coreutils; a command that makes something goes on
without its console, and says so.
"""

import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from unisid.masked import masked
from unisid.printable import printable

READER_LEFT = 141
"""The exit code of a command whose reader left: that of a process which SIGPIPE ends."""
COLOUR = re.compile("(\x1b\\[[0-9;]*m)")
GONE = (errno.EPIPE, errno.EIO)
"""The reader left, the terminal was closed."""


class Console:
    """A text stream in the place of standard output or standard error."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self.stream, self.name = stream, name
        self.goes_on, self.styled = False, False
        """goes_on: whether a lost reader ends nothing; styled: whether what is written may hold colours."""

    def write(self, text: str) -> int:
        parts = COLOUR.split(text) if self.styled else [text]  # every second one is a colour
        shown = "".join(part if number % 2 else printable(part, lines=True) for number, part in enumerate(parts))
        self.draw(masked(shown))
        return len(text)

    def draw(self, shown: str) -> int:
        """Write what a terminal is to obey: of a library that draws, over text that was cleaned before."""
        coding = getattr(self.stream, "encoding", None) or "utf-8"
        shown = shown.encode(coding, "backslashreplace").decode(coding)
        try:
            self.stream.write(shown)
        except OSError as error:
            self._lost(error)
        return len(shown)

    def flush(self) -> None:
        try:
            self.stream.flush()
        except OSError as error:
            self._lost(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def _lost(self, error: OSError) -> None:
        """Nothing more can be written: what is still to come goes nowhere."""
        nothing = os.open(os.devnull, os.O_WRONLY)
        with contextlib.suppress(OSError, ValueError):
            os.dup2(nothing, self.stream.fileno())  # what the stream holds back is written when Python ends
        os.close(nothing)
        self.stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # for as long as the process lasts
        if self.name == "standard error":
            return
        if self.goes_on:
            print(f"note: {self.name} is gone ({error.strerror}); the work goes on without it", file=sys.stderr)
            return
        if error.errno in GONE:
            raise SystemExit(READER_LEFT)
        print(f"error: {self.name}: cannot be written ({error.strerror}); another place is needed", file=sys.stderr)
        raise SystemExit(1)


@contextlib.contextmanager
def consoles() -> Iterator[Console]:
    """Both streams as consoles, for as long as the context lasts; yields standard output.

    A stream that was closed (`>&-`) leads nowhere: its number must not be given to the next file that is opened.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    before = sys.stdout, sys.stderr
    streams = [stream or open(os.devnull, "w", encoding="utf-8") for stream in before]  # noqa: SIM115
    output = Console(cast(TextIO, streams[0]), "standard output")
    complaints = Console(cast(TextIO, streams[1]), "standard error")
    sys.stdout, sys.stderr = cast(TextIO, output), cast(TextIO, complaints)
    try:
        yield output
    finally:
        try:
            output.flush()
        finally:
            complaints.flush()
            sys.stdout, sys.stderr = before


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Inside, colours pass: for a library that draws help and wrong words in boxes."""
    found = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, Console)]
    for console in found:
        console.styled = True
    try:
        yield
    finally:
        for console in found:
            console.styled = False
