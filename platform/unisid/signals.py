"""SIGTERM as Ctrl-C: how a scheduler, `ray job stop` or a node that goes down tells a process to stop."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Told(KeyboardInterrupt):
    """This process was told to stop."""


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Inside, SIGTERM raises `Told` in the main thread; another one, while it ends, changes nothing."""

    def stop(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Told

    with kept():
        if _listens():
            signal.signal(signal.SIGTERM, stop)
        yield


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Whoever listens for SIGTERM before does so after, whatever is set inside: `ray.init` makes it a plain exit."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as left:
        if left.code == signal.SIGTERM:
            raise Told from None
        raise
    finally:
        if _listens():
            signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Inside, Ctrl-C and SIGTERM wait for the end: what is written to a database is written whole or not begun."""
    heard: list[tuple[int, FrameType | None]] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)} if _listens() else {}
    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, lambda *what: heard.append(what))
    try:
        yield
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)
        for told, frame in heard[:1]:
            listener = before[signal.Signals(told)]
            if callable(listener):
                listener(told, frame)


def _listens() -> bool:
    return threading.current_thread() is threading.main_thread()
