"""Batches of histories from a stream: shuffled by seed, of equal size, padded no further than their longest.

A worker's share of the stream is read over and over. It is cut into blocks of some batches; a block's rows are drawn
into batches of near-equal lengths, and the batches into an order, by the block's own seed. So the n-th batch is a
pure function of (data, seed, rank, n), and a resumed fit goes on where the killed one was. A row is a sample (a history
and its target), or a window of a user's sequence in which every item but the first is a target. B samples or windows,
T items of the longest history, G items that follow a window; R rows of a block, E items of all of them.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Int

from unisid.backbones import Batch
from unisid.errors import DataError
from unisid.ops.padding import padded

BATCHES_PER_BLOCK = 64
KEPT_ROWS = 1 << 18
"""A share of no more rows stays in memory after its first pass: tens of megabytes."""


class Feed:
    """The endless order of a worker's batches."""

    def __init__(
        self, tables: Callable[[], Iterator[pa.Table]], batch_size: int, seed: tuple[int, ...], window: int = 0
    ) -> None:
        """`tables` starts one pass over the share: columns history and target, or history alone, which is then cut
        into windows of at most `window` targets."""
        self.tables, self.batch_size, self.seed, self.window = tables, batch_size, seed, window
        self._drawn: Iterator[tuple[Block, Int[np.ndarray, " B"]]] = iter(())
        self._next = -1

    def batches(self, first: int, count: int) -> Iterator[Batch]:
        """Batches `first` to `first + count` of the endless order."""
        if self._next != first:
            self._drawn, self._next = self._endless(), 0
            while self._next < first:
                next(self._drawn)
                self._next += 1
        for _ in range(count):
            block, rows = next(self._drawn)
            self._next += 1
            yield block.batch(rows)

    def _endless(self) -> Iterator[tuple["Block", Int[np.ndarray, " B"]]]:
        number, held = 0, pa.table({})
        for tables in passes(self.tables, KEPT_ROWS):
            for table in tables:
                held = pa.concat_tables([held, table]) if held.num_rows else table
                if held.num_rows >= BATCHES_PER_BLOCK * self.batch_size:
                    held = yield from self._block(held, number)
                    number += 1
            if held.num_rows >= self.batch_size:
                held = yield from self._block(held, number)
                number += 1

    def _block(self, table: pa.Table, number: int) -> Generator[tuple["Block", Int[np.ndarray, " B"]], None, pa.Table]:
        """A block's batches; returns the rows of the table that did not fill one, which open the next block.

        Windows that do not fill one are left out: another pass cuts the same users elsewhere.
        """
        rng = np.random.default_rng((*self.seed, number))
        block = Block.of_windows(table, self.window, rng) if self.window else Block.of(table)
        order = rng.permutation(len(block.lengths))
        used = len(order) - len(order) % self.batch_size
        by_length = order[:used][np.argsort(block.lengths[order[:used]], kind="stable")]
        for rows in rng.permutation(by_length.reshape(-1, self.batch_size)):
            yield block, rows
        return table.slice(0, 0) if self.window else table.take(order[used:])


def passes(tables: Callable[[], Iterator[pa.Table]], most: int) -> Iterator[Iterator[pa.Table]]:
    """A worker's share from its start, again and again; one of at most so many rows is read once and kept."""
    kept: list[pa.Table] = []
    seen = 0

    def reading() -> Iterator[pa.Table]:
        nonlocal seen
        for table in tables():
            seen += table.num_rows
            if seen <= most:
                kept.append(table)
            else:
                kept.clear()
            yield table

    yield reading()
    if not seen:
        raise DataError("training table: this worker's share has no rows; use fewer workers (model.pool.workers)")
    while True:
        yield iter(kept) if seen <= most else tables()


@dataclass(frozen=True)
class Block:
    """Some samples or windows as flat arrays."""

    items: Int[np.ndarray, " E"]
    """All histories, joined; all users' sequences where the rows are windows of them."""
    starts: Int[np.ndarray, " R"]
    """A row's first item."""
    lengths: Int[np.ndarray, " R"]
    """Items of a row's history."""
    targets: Int[np.ndarray, " R"]
    """A sample's target; a window's is the place after its history's end, in `items`."""
    are_windows: bool = False
    """Whether every item of a row has a target."""

    @classmethod
    def of(cls, table: pa.Table) -> "Block":
        """The samples of a table with the columns history and target."""
        lists = table["history"].combine_chunks()
        starts = lists.offsets.to_numpy().astype(np.int64)
        lengths = np.diff(starts)
        return cls(lists.values.to_numpy(), starts[:-1], lengths, table["target"].to_numpy())

    @classmethod
    def of_windows(cls, table: pa.Table, most: int, rng: np.random.Generator) -> "Block":
        """Windows of at most `most` targets of the sequences in the column history; where longer ones are cut is
        drawn. A window begins with the last target of the one before."""
        lists = table["history"].combine_chunks()
        bounds = lists.offsets.to_numpy().astype(np.int64)
        targets = np.diff(bounds) - 1
        phase = np.where(targets > most, rng.integers(0, most, len(targets)), 0)
        counts = -(-(targets - phase) // most) + (phase > 0)
        of = np.repeat(np.arange(len(counts)), counts)
        number = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts) - (phase > 0)[of]
        begin = np.maximum(0, phase[of] + number * most)
        lengths = np.minimum(targets[of], phase[of] + (number + 1) * most) - begin
        return cls(lists.values.to_numpy(), bounds[of] + begin, lengths, bounds[of] + begin + 1, True)

    def batch(self, rows: Int[np.ndarray, " B"]) -> Batch:
        """Some rows side by side, in items."""
        starts, lengths = self.starts[rows], self.lengths[rows]
        histories = padded(self.items, lengths, starts)
        if not self.are_windows:
            return Batch(histories, torch.from_numpy(self.targets[rows].astype(np.int64)))
        return Batch(histories, padded(self.items, lengths, starts + 1))
