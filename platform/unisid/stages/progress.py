"""How far a stage is with what it maps: to the person who waits and to the tracker, by one clock."""

import time
from dataclasses import dataclass, field

from unisid.compute import Job

SECONDS = 5.0
"""Between one word and the next."""


@dataclass
class Progress:
    """Counts towards a known total; tells at most every few seconds, and at the end."""

    job: Job
    total: int
    what: str
    """What is counted, such as files; the tracker's metrics are files_done and files_per_second."""
    of: str = ""
    """Whose they are, where a stage counts several."""
    done: int = 0
    begun: float = field(default_factory=lambda: time.monotonic())
    told: float = field(default_factory=lambda: time.monotonic())

    def advance(self, count: int = 1) -> None:
        """So many more are done."""
        self.done += count
        now = time.monotonic()
        if now - self.told < SECONDS and self.done < self.total:
            return
        self.told, rate = now, self.done / max(now - self.begun, 1e-9)
        name = f"{self.of}.{self.what}" if self.of else self.what
        self.job.report({"step": self.done, f"{name}_done": self.done, f"{name}_per_second": rate})
        start = f"{self.of}: " if self.of else ""
        self.job.say(f"{start}{self.done:,} of {self.total:,} {self.what}, {rate:,.3g} a second")
