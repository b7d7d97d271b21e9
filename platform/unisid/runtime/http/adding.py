"""Adds items posted over HTTP to the index in use, in a separate process.

One process at a time: the encoder takes no memory or threads of the server, and the new index is promoted, so that
every replica loads it.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unisid.artifacts.store import Store
from unisid.artifacts.tables import write_given
from unisid.errors import UnisidError
from unisid.log import logger
from unisid.printable import printable
from unisid.runtime.http.refusal import RefusedError

MOST_WAITING = 16
"""Tables that wait; a further one gets 503."""
LOG = logger(__name__)


@dataclass
class Adding:
    """Adds tables of items, one after the other."""

    store: Store
    name: str
    run: Callable[[str], Awaitable[str]] | None = None
    """Adds the table at a URI; returns why it failed, empty where it did not. None: `unisid index add`."""
    failed: str = ""
    """Why the last table that failed did."""
    added: int = 0
    """Items that were added since the server began."""
    _waiting: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _work: set["asyncio.Task[None]"] = field(default_factory=set)

    async def add(self, items: Sequence[dict[str, str]]) -> dict[str, int]:
        """Queue items; returns how many, and how many tables are ahead of them.

        Raises:
            RefusedError: items have different columns, or too many tables wait.
        """
        names = list(items[0])
        for number, item in enumerate(items):
            if item.keys() != items[0].keys():
                other = printable(", ".join(item))[:200]
                raise RefusedError(
                    422,
                    "items",
                    f"items: item {number} has the columns {other}; must be those of the "
                    f"first, {printable(', '.join(names))[:200]}",
                )
        if self._waiting >= MOST_WAITING:
            raise RefusedError(503, "full", f"{self._waiting} tables of items wait", {"Retry-After": "10"})
        waiting, self._waiting = self._waiting, self._waiting + 1
        try:
            uri = await asyncio.to_thread(self._written, [dict(item) for item in items])
        except (UnisidError, OSError) as error:
            self._waiting -= 1
            raise RefusedError(503, "store", printable(str(error))[:500]) from None
        work = asyncio.create_task(self._add(uri, len(items)))
        self._work.add(work)
        work.add_done_callback(self._work.discard)
        return {"accepted": len(items), "waiting": waiting}

    def state(self) -> dict[str, Any]:
        """The state of the queue and of the items so far."""
        return {"waiting": self._waiting, "added": self.added, "failed": self.failed}

    async def _add(self, uri: str, items: int) -> None:
        try:
            async with self._turn:
                try:
                    self.failed = await (self.run or self._command)(uri)
                except OSError as error:  # no process can be begun
                    self.failed = printable(str(error))[:1000]
            self.added += 0 if self.failed else items
        finally:
            self._waiting -= 1

    def _written(self, items: list[dict[str, str]]) -> str:
        """The URI of the table, named for its content: the same items are added once."""
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(items), sink)
        return write_given(self.store.root, "items", sink.getvalue())

    async def _command(self, uri: str) -> str:
        words = ("index", "add", uri, "--name", self.name, "--store", self.store.root.uri)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "unisid.cli",
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        if not process.returncode:
            return ""
        why = printable(said.decode(errors="replace").strip().rpartition("error: ")[2])[:1000]
        LOG.error(f"POST /items: {why}")
        return why or f"the process ended with {process.returncode}"
