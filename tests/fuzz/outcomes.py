"""The law of bad input: a right result, or a refusal in one message; never a raw exception, never a hang."""

import contextlib
import io
import re
import signal
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from unisid import cli
from unisid.errors import UnisidError

T = TypeVar("T")
SECONDS = 60
"""Longest that one input may take, also on a machine that is busy otherwise."""
RAW = re.compile(
    r"object has no attribute|unexpected keyword argument|positional argument|not subscriptable|unhashable type|"
    r"index out of range|not supported between instances|unsupported operand|object at 0x|Traceback|"
    r"object is not iterable|object is not callable|cannot be interpreted as an integer|truth value of"
)
"""Words of the interpreter, which say nothing of the input."""


class BreachError(Exception):
    """An input that broke the law, and how."""


class TooLong(BaseException):
    """The time is up; no `except Exception` may swallow it."""


@dataclass(frozen=True)
class Refused:
    """A refusal in words."""

    kind: str
    message: str


@dataclass(frozen=True)
class Said:
    """What a command line came to."""

    code: int
    out: str
    err: str


def outcome(call: Callable[[], T], seconds: float = SECONDS) -> T | Refused:
    """What a call returned, or its refusal. Raises BreachError for anything else."""
    try:
        with deadline(seconds):
            return call()
    except UnisidError as error:
        check_message(str(error))
        return Refused(type(error).__name__, str(error))
    except TooLong:
        raise BreachError(f"no answer in {seconds} s") from None
    except (KeyboardInterrupt, BreachError):
        raise
    except BaseException as error:
        raise BreachError(f"{type(error).__name__}: {str(error)[:300]}") from error


def command(words: list[str], seconds: float = SECONDS, quoting: bool = False) -> Said:
    """What a command line prints and its exit code. Raises BreachError where it breaks the law of command lines.

    Args:
        quoting: whether a message may quote an error of the user's own Python.
    """
    out, err = io.StringIO(), io.StringIO()

    def run() -> int:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                return cli.main(words)
            except SystemExit as stop:
                return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1

    code = outcome(run, seconds)
    if isinstance(code, Refused):
        raise BreachError(f"the command line let a {code.kind} through: {code.message}")
    said = Said(code, out.getvalue(), err.getvalue())
    if code not in (0, 1, 2):
        raise BreachError(f"exit code {code}: {said.err[-600:]!r}")
    if "Traceback (most recent call last)" in said.out + said.err:
        raise BreachError(f"a traceback was printed:\n{said.err[-800:]}")
    if code == 1:
        _, found, message = said.err.rpartition("error: ") if "\nerror: " not in f"\n{said.err}" else _last(said.err)
        if not found:
            raise BreachError(f"exit code 1 without 'error: ' on the error output: {said.err[-300:]!r}")
        check_message(message.rstrip("\n"), quoting)
    if code == 2 and not said.err.strip():
        raise BreachError("exit code 2 without a word")
    return said


def _last(text: str) -> tuple[str, str, str]:
    before, found, after = f"\n{text}".rpartition("\nerror: ")
    return before, found, after


def check_message(message: str, quoting: bool = False) -> None:
    """Raise BreachError where a refusal is not one message in plain words that says where and what."""
    if len(message) < 12 or ":" not in message:
        raise BreachError(f"a message that does not say where and what: {message!r}")
    if (found := RAW.search(message)) and not quoting:
        raise BreachError(f"a message in the interpreter's words ({found.group()!r}): {message!r}")
    for number, letter in enumerate(message):
        hidden = unicodedata.category(letter) in ("Cc", "Cs") and not (
            letter == "\n" and message[number + 1 : number + 3] == "  "
        )
        if hidden:
            raise BreachError(f"a message with the raw character {letter!r}: {message!r}")


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raises TooLong inside when the time is up; an alarm that was set before is set again."""

    def ring(*_: Any) -> None:
        raise TooLong

    handler = signal.signal(signal.SIGALRM, ring)
    begun = time.monotonic()
    before, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if before:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, before - (time.monotonic() - begun)))
