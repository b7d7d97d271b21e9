"""Rows of requests that wait at the same time, ranked as one batch: one batch at a time, in a thread of its own.

While a batch is ranked, all rows that come wait together, and the next batch takes as many of them as it holds. (Ray
Serve's `@serve.batch` closes a batch after its wait even while another one is ranked, so under load its batches are
small and queue: at a wait of 0 each row is ranked alone.)
"""

import asyncio
import concurrent.futures
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from unisid.errors import UnisidError
from unisid.runtime.http.measures import Measures
from unisid.serving.answers import Answer, Problem, Query, answers
from unisid.serving.pair import Pair
from unisid.serving.settings import Serving

Row = tuple[Pair, Query]
Found = Answer | Problem | UnisidError


@dataclass(frozen=True)
class _Waiting:
    row: Row
    found: "asyncio.Future[Found]"
    since: float


@dataclass
class Batches:
    """Answers rows in the order in which they came."""

    settings: Serving
    measures: Measures
    waiting: deque[_Waiting] = field(default_factory=deque)
    _thread: concurrent.futures.Executor = field(
        default_factory=lambda: concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="unisid-rank")
    )
    _full: asyncio.Event = field(default_factory=asyncio.Event)
    _work: "asyncio.Task[None] | None" = None

    async def rank(self, pair: Pair, queries: Sequence[Query]) -> list[Answer | Problem]:
        """The rows of one request, ranked beside those of others.

        Raises:
            UnisidError: what a row's batch raised.
        """
        loop, now = asyncio.get_running_loop(), time.monotonic()
        mine = [_Waiting((pair, query), loop.create_future(), now) for query in queries]
        self.waiting += mine
        if len(self.waiting) >= self.settings.batch_size:
            self._full.set()
        if self._work is None:
            self._work = loop.create_task(self._rank_all())
        found = await asyncio.gather(*(each.found for each in mine))
        for each in found:
            if isinstance(each, UnisidError):
                raise each
        return [each for each in found if not isinstance(each, UnisidError)]

    async def _rank_all(self) -> None:
        """Rank batch after batch until no row waits."""
        try:
            while self.waiting:
                await self._wait_for_others()
                most = min(len(self.waiting), self.settings.batch_size)
                await self._rank_batch([self.waiting.popleft() for _ in range(most)])
        finally:
            self._work = None

    async def _wait_for_others(self) -> None:
        """Wait until a batch is full, at most until the first row has waited for `batch_wait`."""
        left = self.waiting[0].since + self.settings.batch_wait - time.monotonic()
        if len(self.waiting) >= self.settings.batch_size or left <= 0:
            return
        self._full.clear()
        try:
            await asyncio.wait_for(self._full.wait(), left)
        except TimeoutError:
            return

    async def _rank_batch(self, batch: list[_Waiting]) -> None:
        self.measures.batches.observe(len(batch))
        loop = asyncio.get_running_loop()
        try:
            found: Sequence[Found] = await loop.run_in_executor(self._thread, by_pair, [each.row for each in batch])
        except Exception as error:
            for each in batch:
                if not each.found.done():
                    each.found.set_exception(error)
            return
        for each, answer in zip(batch, found, strict=True):
            if not each.found.done():
                each.found.set_result(answer)


def by_pair(rows: Sequence[Row]) -> list[Found]:
    """An answer a row, in order, each ranked by its own pair; the error of a pair is that of its rows alone."""
    found: list[Found | None] = [None] * len(rows)
    for pair in {id(pair): pair for pair, _ in rows}.values():
        numbers = [number for number, (each, _) in enumerate(rows) if each is pair]
        try:
            ranked: Sequence[Found] = answers(pair, [rows[number][1] for number in numbers])
        except UnisidError as error:
            ranked = [error] * len(numbers)
        for number, answer in zip(numbers, ranked, strict=True):
            found[number] = answer
    return [each for each in found if each is not None]
