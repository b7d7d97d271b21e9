"""Signals that end a process: SIGTERM (a scheduler, `ray job stop`, a node that goes down) and SIGHUP (a terminal that
is closed) as Ctrl-C."""

import collections
import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Terminated(KeyboardInterrupt):
    """This process received SIGTERM or SIGHUP."""


@contextlib.contextmanager
def stoppable() -> Iterator[list[int]]:
    """Inside, SIGTERM and SIGHUP raise `Terminated` in the main thread, Ctrl-C a KeyboardInterrupt.

    Yields the numbers of the signals that came, in order: what a signal raises may arrive as another error, for a
    library turns it into one of its own. Another SIGTERM or SIGHUP, while the process ends, changes nothing. A signal
    that is ignored (nohup) stays so.
    """
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        for each in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        raise Terminated

    before = {number: signal.getsignal(number) for number in ENDING} if _listens() else {}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, stop)
        yield came
    except SystemExit as left:
        if left.code == signal.SIGTERM:
            raise Terminated from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """The handler of SIGTERM from before holds after, whatever is set inside: `ray.init` makes it a plain exit."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as left:
        if left.code == signal.SIGTERM:
            raise Terminated from None
        raise
    finally:
        if _listens():
            signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Inside, these signals wait for the end: what is written to a database is written whole or not begun."""
    waiting: list[tuple[int, FrameType | None]] = []
    before = {number: signal.getsignal(number) for number in ENDING} if _listens() else {}
    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, lambda *what: waiting.append(what))
    try:
        yield
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)
        for first, frame in waiting[:1]:
            listener = before[signal.Signals(first)]
            if callable(listener):
                listener(first, frame)


def settled() -> None:
    """Make Python forget that Ctrl-C cut short what it ran from text (`exec`, as dataclasses do): else it ends `python
    -m` by the signal, whatever the exit code is. The next text that it runs does."""
    collections.namedtuple("Text", ())


def _listens() -> bool:
    return threading.current_thread() is threading.main_thread()
