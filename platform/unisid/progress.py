"""Throttled progress reports (console and tracker) for mapped work."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from unisid.compute import Job, Metrics, Part, Report, Step
from unisid.log import TICK, Advance, logger

LOG = logger(__name__)

SECONDS = 5.0
"""Between one report and the next."""
MINUTE, HOUR = 60.0, 3600.0
TOTAL = "_total"
"""The end of the name under which the total of a count is reported: for whom it is shown to, and kept in no curve."""
DRAWN_SECONDS = 0.2
"""Between two positions of a bar."""


class Throttle:
    """Whether it is time for another report: true at most once in so many seconds."""

    def __init__(self, seconds: float, *, at_once: bool = False) -> None:
        """`at_once`: the first call is true too."""
        self.seconds, self.last = seconds, time.monotonic() - (seconds if at_once else 0.0)

    def __call__(self) -> bool:
        now = time.monotonic()
        due = now - self.last >= self.seconds
        self.last = now if due else self.last
        return due


@dataclass(frozen=True)
class HowFar:
    """How far a piece of work is, as it is reported: X_done of X_total, and X_per_second."""

    name: str
    """What is counted, such as steps; 'itemknn.samples' where it says whose."""
    done: int
    total: int
    rate: float
    """How many a second."""

    @classmethod
    def all_in(cls, values: Mapping[str, float]) -> "list[HowFar]":
        """Every one of which all three figures are reported; others may end in the same words."""
        names = [name.removesuffix(TOTAL) for name in values if name.endswith(TOTAL)]
        return [
            cls(name, int(values[f"{name}_done"]), int(values[name + TOTAL]), values[f"{name}_per_second"])
            for name in names
            if {f"{name}_done", f"{name}_per_second"} <= values.keys()
        ]

    @classmethod
    def without_totals(cls, values: Mapping[str, float]) -> Metrics:
        """The figures without the totals of counts, which no curve keeps."""
        totals = {each.name + TOTAL for each in cls.all_in(values)}
        return {name: value for name, value in values.items() if name not in totals}

    @property
    def figures(self) -> Metrics:
        """As it is reported."""
        return {f"{self.name}_done": self.done, self.name + TOTAL: self.total, f"{self.name}_per_second": self.rate}

    @property
    def title(self) -> str:
        """Its name as a bar has it."""
        return self.name.replace(".", ": ")

    @property
    def advance(self) -> Advance:
        """For a bar, which may stand in the place of its line until all is done."""
        return Advance(self.title, self.done, self.total, is_all=self.done < self.total)

    def __str__(self) -> str:
        of, _, what = self.title.rpartition(": ")
        left = (self.total - self.done) / self.rate if self.rate > 0 else 0.0
        ending = f", {lasting(left)} left" if left > 0 else ""
        return f"{of}{': ' if of else ''}{self.done:,} of {self.total:,} {what}, {self.rate:,.3g} a second{ending}"


class Reported:
    """Reports how far work of a known size is: every so many seconds, and its end where it was reported before."""

    def __init__(self, report: Report | None, name: str, seconds: float) -> None:
        """`report`: where figures go, such as a worker's `progress`; None: nowhere."""
        self.report, self.name, self.due = report, name, Throttle(seconds)
        self.begun, self.is_shown = time.monotonic(), False

    def __call__(self, done: int, total: int) -> None:
        """So much of it is done."""
        if self.report is None or not (self.due() or (self.is_shown and done >= total)):
            return
        self.report(HowFar(self.name, done, total, done / max(time.monotonic() - self.begun, 1e-9)).figures)
        self.is_shown = done < total


def lasting(seconds: float) -> str:
    """A time in words: 40 s, 12 min, 3.2 h."""
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < HOUR else f"{seconds / HOUR:.1f} h"


@dataclass
class Progress:
    """Counts towards a known total; reports at most every few seconds, and at the end."""

    report: Report | None
    """Where the figures go: a job's, or a worker's `progress`; None for work outside a tracked stage."""
    total: int
    what: str
    """What is counted, such as files; the tracker's metrics are files_done and files_per_second."""
    of: str = ""
    """Whose they are, where a stage counts several."""
    lines: bool = True
    """Whether a line is logged too; not in a worker, whose figures the driver shows, and is given the total for."""
    done: int = 0
    begun: float = field(default_factory=lambda: time.monotonic())
    due: Throttle = field(default_factory=lambda: Throttle(SECONDS))
    drawn: Throttle = field(default_factory=lambda: Throttle(DRAWN_SECONDS, at_once=True))

    def advance(self, count: int = 1) -> None:
        """So many more are done."""
        self.done += count
        title = f"{self.of}: {self.what}" if self.of else self.what
        moved: dict[str, Any] = {"advance": Advance(title, self.done, self.total, is_all=self.done < self.total)}
        if not self.due() and self.done < self.total:
            if self.lines and LOG.isEnabledFor(TICK) and self.drawn():
                LOG.log(TICK, title, extra=moved)
            return
        rate = self.done / max(time.monotonic() - self.begun, 1e-9)
        name = f"{self.of}.{self.what}" if self.of else self.what
        figures: Metrics = {"step": self.done, f"{name}_done": self.done, f"{name}_per_second": rate}
        if self.report is not None:
            self.report(figures if self.lines else {**figures, name + TOTAL: self.total})
        start = f"{self.of}: " if self.of else ""
        line = f"{start}{self.done:,} of {self.total:,} {self.what}, {rate:,.3g} a second"
        shown = {"figures": dict(figures)}
        if self.lines:
            LOG.info(line, extra=moved | shown)
        else:
            LOG.debug(line, extra=shown)


class Mapper(Protocol):
    """Anything that maps parts: a `Compute`, or a wrapper that reports progress."""

    def map(self, parts: Sequence[Part], *steps: Step) -> Iterator[pa.Table]: ...


@dataclass(frozen=True)
class ReportingMapper:
    """Maps as a job's compute does, and reports how many parts are done; a single part is not reported."""

    job: Job[Any]
    what: str
    of: str = ""

    def map(self, parts: Sequence[Part], *steps: Step) -> Iterator[pa.Table]:
        """As `Compute.map`."""
        progress = Progress(self.job.report, len(parts), self.what, self.of)
        for table in self.job.compute.map(parts, *steps):
            yield table
            if len(parts) > 1:
                progress.advance()


def mapped(job: Job[Any], parts: Sequence[Part], step: Step, what: str, of: str = "") -> Iterator[pa.Table]:
    """`job.compute.map` with progress reports of the parts done."""
    return ReportingMapper(job, what, of).map(parts, step)
