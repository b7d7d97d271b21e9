"""The mailbox between the driver and a worker group: one job at a time in, its events out.

It runs as an actor of no cores. It keeps the job until the job is over, so a worker group that was restarted finds
the very job that its predecessor left. Jobs and results pass through as bytes and are not looked into. (No imports
of torch here: the actor starts in a second.)
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

Event = tuple[str, Any]
"""("report", (number, metrics)), ("result", bytes), ("error", bytes) or ("lost", text)."""
FINAL = ("result", "error", "lost")


@dataclass
class Slot:
    """A job and what became of it."""

    job: bytes
    events: list[Event] = field(default_factory=list)
    attempts: int = 0
    spared: int = 0
    """Attempts that ended because a node was taken away as announced; none of them is a failure."""
    troubles: dict[tuple[str, Any], int] = field(default_factory=dict)
    """(what was said, the checkpoint it began from) -> the attempt that said it."""
    over: bool = False


class Mailbox:
    """Holds the current job of one worker group.

    Args:
        max_failures: so many times a job may be started again after its workers died.
    """

    def __init__(self, max_failures: int) -> None:
        self.max_failures = max_failures
        self.slots: list[Slot | None] = []
        self.open = True
        self.controller: Any = None
        self.changed = asyncio.Condition()

    async def put(self, job: bytes) -> int:
        """Give the group its next job; returns the job's number."""
        async with self.changed:
            if self.slots:
                self.slots[-1] = None
            self.slots.append(Slot(job))
            self.changed.notify_all()
        return len(self.slots) - 1

    async def introduce(self, controller: Any) -> None:
        """Receive the handle of the actor that keeps the group running."""
        self.controller = controller

    async def close(self) -> Any:
        """No further jobs: workers that request one are dismissed. Returns the group's controller, if there is one."""
        async with self.changed:
            self.open = False
            self.changed.notify_all()
        return self.controller

    async def take(self, after: int, rank: int) -> tuple[int, bytes] | None:
        """Wait for a job whose number is above `after` and that is not over. None: the group is closed."""
        async with self.changed:
            await self.changed.wait_for(lambda: not self.open or self._waiting(after))
            slot = self.slots[-1] if self.slots else None
            if not self.open or slot is None:
                return None
            if rank == 0:
                slot.attempts += 1
                if slot.attempts - slot.spared > self.max_failures + 1:
                    said = next((text for text, _ in reversed(slot.troubles)), "nothing: killed, perhaps for memory")
                    text = f"its workers died {slot.attempts - 1 - slot.spared} times; the last one said: {said}"
                    self._add(slot, ("lost", text))
                    raise RuntimeError(text)  # the other ranks may hold the job: only a restart frees them
            return len(self.slots) - 1, slot.job

    async def post(self, number: int, event: Event) -> None:
        """Receive a worker's message about a job, which is dropped where no driver waits for it any more."""
        async with self.changed:
            slot = self.slots[number]
            if slot is not None and not slot.over and self.open:
                self._add(slot, event)

    async def spare(self, number: int) -> None:
        """The workers of a job were given notice that a node will be taken away: their end will be no failure."""
        async with self.changed:
            slot = self.slots[number]
            if slot is not None:
                slot.spared += 1

    async def report_retryable_error(self, number: int, text: str, last: Any, error: bytes) -> None:
        """A worker stumbles over an error that a restart may cure; the same one from the same checkpoint is final."""
        async with self.changed:
            slot = self.slots[number]
            if slot is None or slot.over:
                return
            if slot.troubles.setdefault((text, last), slot.attempts) < slot.attempts:
                self._add(slot, ("error", error))

    async def events_of(self, number: int, seen: int) -> list[Event]:
        """The events of a job from the `seen`-th on; waits for one."""
        slot = self.slots[number]
        assert slot is not None, "the driver gives a new job only after the last one's end"
        async with self.changed:
            await self.changed.wait_for(lambda: len(slot.events) > seen)
        return slot.events[seen:]

    def _waiting(self, after: int) -> bool:
        slot = self.slots[-1] if self.slots else None
        return slot is not None and not slot.over and len(self.slots) - 1 > after

    def _add(self, slot: Slot, event: Event) -> None:
        slot.events.append(event)
        slot.over = event[0] in FINAL
        self.changed.notify_all()
