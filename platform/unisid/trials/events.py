"""Handles what trials report while they run: logs a line for each, and passes the end of each on."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from unisid.errors import DataError
from unisid.evaluation.estimates import State
from unisid.log import logger
from unisid.progress import SECONDS, Throttle
from unisid.runtime.trials import Kind
from unisid.trials.making import last_line
from unisid.trials.trial import Trial

LOG = logger(__name__)

End = Callable[[int, State, str], None]
"""(number of the trial, how it ended, why it was stopped or failed)."""


class TrialEvents:
    """Handles the events of some trials, which a `Runner` counts from 0."""

    def __init__(self, trials: Sequence[Trial], numbers: Sequence[int], end: End) -> None:
        """`numbers` are those of the trials that the runner was given, in its order."""
        self.trials, self.numbers, self.end = trials, numbers, end
        self.begun: dict[int, int] = {}
        self.last: dict[int, Mapping[str, Any]] = {}
        self.due = Throttle(SECONDS)

    def __call__(self, number: int, kind: Kind, more: Mapping[str, Any]) -> None:
        which = self.numbers[number]
        name = self.trials[which].name
        if kind == "begun":
            self.begun[number] = self.begun.get(number, 0) + 1
            LOG.info(f"{name}: {'begun' if self.begun[number] == 1 else 'begun again, its process died'}")
        elif kind == "reported":
            self.last[number] = more
            if self.due():
                LOG.info(f"{name}: epoch {more['time']:g}, {more['value']:.4f}")
        elif kind == "done" and "error" not in more:
            self.end(which, "complete", "")
        elif kind == "stopped":
            last = self.last.get(number, {"time": 0, "value": float("nan")})
            self.end(which, "stopped", f"after {last['time']:g} at {last['value']:.4f}")
        else:
            self.end(which, "failed", str(more["error"]))


def refuse_failures(what: str, failed: Mapping[str, str], total: str, again: str) -> None:
    """Raises DataError where something failed: trial -> why.

    Args:
        what: whose trials they are, such as 'search demo'.
        total: how many there are and what they are called, such as '12 trials'.
        again: what tries them again, such as '--resume'.
    """
    if failed:
        lines = "\n".join(f"  {name}: {last_line(note)}" for name, note in failed.items())
        raise DataError(
            f"{what}: {len(failed)} of {total} failed; the table holds the others, {again} tries these again\n{lines}"
        )
