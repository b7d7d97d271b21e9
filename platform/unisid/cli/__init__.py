"""`unisid`: plan, run and look at recipes and artifacts.

Exit codes: 0 done; 1 something the user can put right (one message says what); 2 wrong words on the command line;
70 a fault of the program, with its traceback; 129 ended by SIGHUP, 130 by Ctrl-C, 143 by SIGTERM (what was
complete stays, `unisid run` goes on from there); 141 the reader of a command that only prints left early.
"""

from __future__ import annotations  # what is heavy is named here and imported where it is used

import signal
import sys
from collections.abc import Sequence

from unisid.signals import Terminated, deferred, settled, stoppable

try:
    with deferred():  # nothing listens yet: Ctrl-C in the middle of these would print a traceback
        import os
        import traceback

        from unisid import __version__
        from unisid.console import Console, consoles
        from unisid.errors import UnisidError
        from unisid.faults import in_words
except KeyboardInterrupt:
    sys.exit(128 + signal.SIGINT)

FAULT = 70
"""The exit code of a fault of the program (EX_SOFTWARE)."""


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    with consoles() as output, stoppable() as came:
        try:
            _act(sys.argv[1:] if words is None else words, output)
            output.flush()
        except SystemExit as left:
            if left.code != signal.SIGTERM:  # Ray's own way of ending at SIGTERM
                raise
            return _ended(Terminated(), came)
        except BaseException as error:
            return _ended(error, came)
    return 0


def _act(words: Sequence[str], output: Console) -> None:
    """Carry out one command."""
    with deferred():  # an interrupt in the middle of an import arrives as any error
        from unisid.cli.commands import parse
    command = parse(words)
    output.goes_on = command.makes
    with command.news():
        command.act()


def _ended(error: BaseException, came: Sequence[int]) -> int:
    """Say how a command ended that did not do what it should; returns the exit code.

    Whatever error arrives after a signal, the signal is its cause: libraries turn what it raises into their own.
    """
    stopped = came or isinstance(error, KeyboardInterrupt)
    said = str(error) if isinstance(error, UnisidError) else in_words(error)
    if os.environ.get("UNISID_TRACEBACK") or (said is None and not stopped):
        traceback.print_exception(error)
    if stopped:
        settled()
        print("interrupted: what is complete stays; the same command goes on from there", file=sys.stderr)
        return 128 + (came[0] if came else signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)
    if said is not None:
        print(f"error: {said}", file=sys.stderr)
        return 1
    print(
        f"error: this is a fault of unisid {__version__}, not of what it was given: please report it with the "
        "lines above and the command (CONTRIBUTING.md)",
        file=sys.stderr,
    )
    return FAULT
