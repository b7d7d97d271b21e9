"""State of a replica: the pair in use, a candidate, the queue, and the guard over both."""

import asyncio
import contextlib
import dataclasses
import random
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from unisid.errors import UnisidError
from unisid.log import logger
from unisid.runtime.http.adding import Adding
from unisid.runtime.http.measures import Measures
from unisid.runtime.http.refusal import RefusedError
from unisid.serving.answers import Answer, Problem, Query, answers
from unisid.serving.guard import MOST_CLICKS, Tally, chosen, fault_by_clicks, fault_of
from unisid.serving.pair import Pair
from unisid.serving.settings import Serving

LOG = logger(__name__)
Found = list[Answer | Problem]
Rank = Callable[[Pair, Sequence[Query]], Awaitable[Found]]
"""Answers queries by a pair: at once, or in batches with those of other requests."""
Withdraw = Callable[[Pair, str], None]
"""Takes a pair that the guard found wanting, and why, in a thread."""


def _follows_none(model: str) -> bool:
    """Returns False: where no registered model is followed."""
    return False


def _nothing(pair: Pair, why: str) -> None:
    """Does nothing: where there is no registry to change."""


@dataclass
class Server:
    """State that the routes share."""

    settings: Serving
    pair: Pair | None = None
    """The pair in use; another takes its place in one assignment."""
    refused: str = ""
    """Why the promoted pair is not in use; empty where it is."""
    measures: Measures = field(default_factory=Measures)
    waiting: int = 0
    """Rows that wait or are being ranked."""
    adding: Adding | None = None
    """Adds items to the index in use; None where the server adds none."""
    withdraw: Withdraw = _nothing
    """Takes a promoted pair that the guard found wanting."""
    dismiss: Withdraw = _nothing
    """Takes a candidate that the guard found wanting."""
    alias_moved: Callable[[str], bool] = _follows_none
    """Takes the name of a registered model of which an alias moved; returns whether it is followed, and looked at."""
    before: Pair | None = None
    """The pair before this one."""
    tally: Tally = field(default_factory=Tally)
    """What the pair in use did so far."""
    tally_before: Tally = field(default_factory=Tally)
    judged: bool = True
    """Whether the guard has looked at the pair in use."""
    candidate: Pair | None = None
    """The pair that answers a share of the requests unseen, or of the users; None for none."""
    tally_candidate: Tally = field(default_factory=Tally)
    dismissed: str = ""
    """Why the last candidate was dismissed."""
    shadows: set[asyncio.Task[None]] = field(default_factory=set)
    """Requests that the candidate answers unseen; one at a time."""

    def use(self, pair: Pair) -> None:
        """Put a pair into use; requests that began with another end with it."""
        if self.pair is not None:
            self.measures.swaps.inc()
        self.measures.in_use(pair.versions)
        if self.pair is not None and pair.versions != self.pair.versions:
            self.before, self.tally_before, self.tally = self.pair, self.tally, Tally()
            self.judged = not self.settings.guard_rows
        self.pair = pair

    def try_out(self, pair: Pair | None) -> None:
        """Start a trial of a candidate beside the pair in use; None ends it."""
        now = self.candidate
        if pair is None or now is None or pair.versions != now.versions:
            self.tally_candidate = Tally()
        self.candidate = pair
        self.measures.try_out(None if pair is None else pair.versions)

    def pair_for(self, key: str) -> Pair:
        """The pair that answers a user: the candidate for a share of them, else the one in use.

        Args:
            key: what names the user; the same key gets the same pair.

        Raises:
            RefusedError: no pair is in use.
        """
        pair, candidate = self.in_use(), self.candidate
        return candidate if candidate is not None and chosen(key, self.settings.canary) else pair

    def saw(self, pair: Pair, rows: int, errors: int, seconds: float) -> None:
        """Record the rows that a pair answered, and withdraw it where the guard finds a fault."""
        if self.candidate is not None and pair.versions == self.candidate.versions:
            self.tally_candidate.add(rows, errors, seconds)
            if self.settings.guard_rows and self.tally_candidate.rows >= self.settings.guard_rows:
                self._dismiss(fault_of(self.tally_candidate, self.tally, self.settings))
        elif self.pair is not None and pair.versions == self.pair.versions:
            self.tally.add(rows, errors, seconds)
            if not self.judged and self.tally.rows >= self.settings.guard_rows:
                self.judged = True
                self._withdraw(fault_of(self.tally, self.tally_before, self.settings))

    def clicked(self, new: list[str], old: list[str], item: str) -> None:
        """Count a click: the items that the pair on trial and the other one recommend, and the one that was taken."""
        tally, act = (self.tally, self._withdraw) if self.candidate is None else (self.tally_candidate, self._dismiss)
        tally.click(new, old, item)
        act(fault_by_clicks(tally, self.settings))

    def on_trial(self) -> tuple[Pair, Pair] | None:
        """The pair that clicks are to judge and the one that it is held against; None where there is no such pair, or
        the guard has looked at as many clicks as it will."""
        tally = self.tally if self.candidate is None else self.tally_candidate
        if self.pair is None or not self.settings.guard_clicks or len(tally.clicks) >= MOST_CLICKS:
            return None
        if self.candidate is not None:
            return self.candidate, self.pair
        return None if self.before is None or self.before is self.pair else (self.pair, self.before)

    def refuse(self, why: str) -> None:
        """Record why the promoted pair is not in use; empty where it is."""
        self.refused = why
        self.measures.refused.set(bool(why))

    def in_use(self) -> Pair:
        """The pair in use; raises RefusedError where there is none."""
        if self.pair is None:
            raise RefusedError(503, "no-pair", self.refused or "no pair is in use yet", {"Retry-After": "1"})
        return self.pair

    def trial(self) -> dict[str, Any] | None:
        """The candidate and what it did so far, for `/version`; None where there is none."""
        if self.candidate is None:
            return {"dismissed": self.dismissed} if self.dismissed else None
        return {"pair": dataclasses.asdict(self.candidate.versions), **self.tally_candidate.figures()}

    async def rank_here(self, pair: Pair, rows: Sequence[Query]) -> Found:
        """Rank the rows of one request as one batch, in a thread."""
        self.measures.batches.observe(len(rows))
        return await asyncio.to_thread(answers, pair, rows)

    async def within_room(self, rank: Rank, pair: Pair, rows: Sequence[Query]) -> Found:
        """Rank rows, counted as waiting until they are done; raises RefusedError where too many wait already."""
        if self.waiting + len(rows) > self.settings.most_waiting:
            text = f"{self.waiting} rows wait; there is room for {self.settings.most_waiting}"
            raise RefusedError(503, "full", text, {"Retry-After": "1"})
        self._wait(len(rows))
        work = asyncio.ensure_future(rank(pair, rows))
        work.add_done_callback(lambda _: self._wait(-len(rows)))
        return await asyncio.shield(work)  # who gives up leaves its rows in the queue until they are done

    async def ranked(self, rank: Rank, pair: Pair, rows: Sequence[Query | Problem]) -> tuple[Pair, Found]:
        """An answer a row, and the pair that gave them: this one, or the one in use where the candidate failed.

        Raises:
            RefusedError: too many rows wait, or the model cannot answer.
        """
        wanted = [row for row in rows if isinstance(row, Query)]
        begun = time.monotonic()
        try:
            found = await self.within_room(rank, pair, wanted)
        except RefusedError:
            raise
        except Exception as error:
            tried = self.candidate is not None and pair.versions == self.candidate.versions
            self.saw(pair, len(wanted), len(wanted), time.monotonic() - begun)
            if tried:
                return await self.ranked(rank, self.in_use(), rows)
            if isinstance(error, UnisidError):
                raise RefusedError(503, "model", str(error)) from None
            raise
        await self._beside_the_one_before(rank, pair, wanted, found)
        self.saw(pair, len(wanted), 0, time.monotonic() - begun)
        self._shadow(rank, pair, wanted, found)
        each = iter(found)
        every = [row if isinstance(row, Problem) else next(each) for row in rows]
        for one in every:
            self.measures.rows.labels("problem" if isinstance(one, Problem) else one.source).inc()
        return pair, every

    async def _beside_the_one_before(self, rank: Rank, pair: Pair, rows: Sequence[Query], found: Found) -> None:
        """Send a tenth of the requests to the previous pair as well, in the background, until the guard has decided."""
        before = self.before
        if self.judged or before is None or not self.settings.least_agreement or self.tally.rows % 10:
            return
        with contextlib.suppress(Exception):  # a failure of the pair before is none of this one
            _compare(self.tally, (pair, found), (before, await rank(before, rows)))

    def _shadow(self, rank: Rank, pair: Pair, rows: Sequence[Query], found: Found) -> None:
        """Send a share of the requests to the candidate as well, in the background, while the queue has room."""
        candidate, half = self.candidate, self.settings.most_waiting // 2
        if candidate is None or candidate is pair or self.shadows or self.waiting + len(rows) > half:
            return
        if random.random() < self.settings.shadow:
            task = asyncio.ensure_future(self._answer_unseen(rank, candidate, (pair, found), rows))
            self.shadows.add(task)
            task.add_done_callback(self.shadows.discard)

    async def _answer_unseen(
        self, rank: Rank, candidate: Pair, seen: tuple[Pair, Found], rows: Sequence[Query]
    ) -> None:
        tally, begun, errors = self.tally_candidate, time.monotonic(), 0
        try:
            _compare(tally, (candidate, await self.within_room(rank, candidate, rows)), seen)
        except RefusedError:
            return
        except Exception:
            LOG.exception("the candidate failed")
            errors = len(rows)
        self.saw(candidate, len(rows), errors, time.monotonic() - begun)

    def _withdraw(self, why: str) -> None:
        """Put the previous pair back into use, where the promoted one has a fault (a text; empty for none)."""
        if not why or self.pair is None or self.before is None:
            return
        pair, self.pair, self.tally = self.pair, self.before, self.tally_before
        self.measures.withdrawn.inc()
        self.measures.in_use(self.pair.versions)
        self.refuse(f"serve: {pair.versions.model} over {pair.versions.index} was withdrawn: {why}")
        threading.Thread(target=self.withdraw, args=(pair, why), daemon=True).start()

    def _dismiss(self, why: str) -> None:
        """End the trial of the candidate, where it has a fault (a text; empty for none)."""
        pair = self.candidate
        if not why or pair is None:
            return
        self.dismissed = f"{pair.versions.model} over {pair.versions.index}: {why}"
        self.try_out(None)
        self.measures.withdrawn.inc()
        threading.Thread(target=self.dismiss, args=(pair, why), daemon=True).start()

    def _wait(self, rows: int) -> None:
        self.waiting += rows
        self.measures.waiting.set(self.waiting)


def _compare(tally: Tally, new: tuple[Pair, Found], old: tuple[Pair, Found]) -> None:
    """Count which items of two pairs' answers to the same rows are the same; by id, for indexes number items apart."""
    for ours, theirs in zip(new[1], old[1], strict=True):
        if isinstance(ours, Answer) and isinstance(theirs, Answer):
            ids = [[pair.item_ids[item] for item in row.items] for pair, row in ((new[0], ours), (old[0], theirs))]
            tally.compare(*ids)
