"""Many pieces of work, each on its own share of the machines: the interface, and the plain implementation.

A piece reports intermediate values with `report({"time": ..., "value": ...})`; the driver receives its result or error.
`ray_tune` runs them beside one another.
"""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from unisid.errors import ConfigError

Reporter = Callable[[Mapping[str, float]], None]
Work = Callable[[Any, Reporter], Mapping[str, Any]]
"""A module-level function: (piece, report) -> its result, in plain values."""
Kind = Literal["begun", "reported", "done", "stopped", "lost"]
"""begun: it runs, perhaps once more; reported: a value; done: its result; stopped: for others were better;
lost: {"error": text}."""
OnEvent = Callable[[int, Kind, Mapping[str, Any]], None]
"""(number of the piece, what happened, more of it)."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """What each piece holds while it runs."""

    cpus: float = 1.0
    gpus: float = 0.0

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs" + (f" and {self.gpus:g} GPUs" if self.gpus else "")


@dataclass(frozen=True, kw_only=True)
class Asha:
    """Asynchronous successive halving (Li et al. 2020) of the larger `value`: at each rung the worse ones stop."""

    longest: int
    """No piece reports a time beyond this."""
    grace: int = 1
    """The first rung: no piece is stopped before this time."""
    reduction: float = 3.0
    """One in so many goes on from a rung; the next rung is so many times later."""

    def __post_init__(self) -> None:
        if not 1 <= self.grace <= self.longest:
            raise ConfigError(f"asha: grace {self.grace}; must be from 1 to {self.longest}, the last that is reported")
        if not self.reduction > 1:
            raise ConfigError(f"asha: reduction {self.reduction:g}; must be above 1")


class Runner(Protocol):
    """Runs pieces of work."""

    def check(self, share: Share, asha: Asha | None) -> None:
        """Raises ConfigError where this can never be done, before anything runs."""
        ...

    def run(self, pieces: Sequence[Any], work: Work, share: Share, on_event: OnEvent, asha: Asha | None = None) -> None:
        """Do every piece; returns when all are done, stopped or lost."""
        ...


class InTurn:
    """One after the other, in this process. Nothing is retried, and nothing stops early."""

    def check(self, share: Share, asha: Asha | None) -> None:
        if asha is not None:
            raise ConfigError("asha: early stopping is Ray Tune's; leave out --compute local")

    def run(self, pieces: Sequence[Any], work: Work, share: Share, on_event: OnEvent, asha: Asha | None = None) -> None:
        for number, piece in enumerate(pieces):
            on_event(number, "begun", {})
            try:
                result = work(piece, lambda values, number=number: on_event(number, "reported", values))
            except Exception as error:
                on_event(number, "lost", {"error": "".join(traceback.format_exception(error))})
            else:
                on_event(number, "done", result)
