"""SIGTERM as Ctrl-C: how a scheduler, `ray job stop` or a node that goes down tells a process to stop."""

import contextlib
import signal
import threading
from collections.abc import Iterator


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


def _listens() -> bool:
    return threading.current_thread() is threading.main_thread()
