"""Signals that end a process: SIGTERM (a scheduler, `ray job stop`, a node that goes down) and SIGHUP (a terminal that
is closed) as Ctrl-C."""

import collections
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN = 0.05
"""Seconds after which a signal is sent again whose error Python dropped: by then it has left what dropped it."""


class Terminated(KeyboardInterrupt):
    """This process received SIGTERM or SIGHUP."""


@contextlib.contextmanager
def stoppable() -> Iterator[list[int]]:
    """Inside, SIGTERM and SIGHUP raise `Terminated` in the main thread, Ctrl-C a KeyboardInterrupt.

    Yields the numbers of the signals that came, in order: what a signal raises may arrive as another error, for a
    library turns it into one of its own. What a signal raises where Python drops errors (in a `__del__`, a callback of
    a weak reference) is raised again a moment later. Another SIGTERM or SIGHUP, while the process ends, changes
    nothing. A signal that is ignored (nohup) stays so.
    """
    listener = _Listener()
    before = {number: signal.getsignal(number) for number in ENDING} if _listens() else {}
    listener.heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    try:
        if before:
            sys.unraisablehook = listener.dropped
        listener.listen()
        yield listener.came
    except SystemExit as left:
        if left.code == signal.SIGTERM:
            raise Terminated from None
        raise
    finally:
        listener.end()
        for number, handler in before.items():
            signal.signal(number, handler)


class _Listener:
    """What `stoppable` does with signals, and with what they raise where Python drops it."""

    def __init__(self) -> None:
        self.came: list[int] = []
        self.heard: list[signal.Signals] = []
        self.reported = sys.unraisablehook
        self.raises = True
        self.timers: list[threading.Timer] = []

    def listen(self) -> None:
        """Hear the signals that are not ignored."""
        for number in self.heard:
            signal.signal(number, self.stop)

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Raise what the signal stands for."""
        self.came.append(number)
        if not self.raises:
            return
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        for each in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        raise Terminated

    def dropped(self, what: "sys.UnraisableHookArgs") -> None:
        """Send the signal again whose error Python dropped; report other errors as before."""
        if not (self.came and isinstance(what.exc_value, KeyboardInterrupt)):
            self.reported(what)
            return
        self.raises = False  # what is raised here would be dropped too
        self.listen()
        self.timers.append(threading.Timer(AGAIN, self.again, (len(self.timers) + 1,)))
        self.timers[-1].start()
        self.raises = True

    def again(self, times: int) -> None:
        """Send the main thread the signal that was dropped; nothing where another was dropped since."""
        main = threading.main_thread().ident
        if times == len(self.timers) and main is not None:
            signal.pthread_kill(main, self.came[-1])

    def end(self) -> None:
        """Hear nothing more, and send nothing either."""
        self.raises = False
        for timer in self.timers:
            timer.cancel()
            timer.join()
        sys.unraisablehook = self.reported


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
