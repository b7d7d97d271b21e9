"""Batches of histories from a stream: shuffled by seed, of equal size, padded no further than their longest.

A worker's share of the stream is read over and over. It is cut into blocks of some batches; a block's rows are drawn
into batches of near-equal lengths, and the batches into an order, by the block's own seed. So the n-th batch is a
pure function of (data, seed, rank, n), and a resumed fit goes on where the killed one was. B samples, T tokens of
the longest history, L levels, N items, n tokens of all histories.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from unisid.backbones import PAD
from unisid.errors import DataError

BATCHES_PER_BLOCK = 64
KEPT_ROWS = 1 << 18
"""A share of no more rows stays in memory after its first pass: tens of megabytes."""


@dataclass(frozen=True)
class Batch:
    """Histories and targets in tokens as `Codes.tokens` numbers them."""

    histories: Int[Tensor, "B T"]
    targets: Int[Tensor, "B L"]

    def to(self, device: torch.device) -> "Batch":
        return Batch(self.histories.to(device, non_blocking=True), self.targets.to(device, non_blocking=True))


class Feed:
    """The endless order of a worker's batches."""

    def __init__(self, tables: Callable[[], Iterator[pa.Table]], item_tokens: NDArray[Any], batch_size: int,
                 seed: tuple[int, ...]) -> None:  # fmt: skip
        """`tables` starts one pass over the share (columns tokens, target); `item_tokens` are [N, L]."""
        self.tables, self.item_tokens, self.batch_size, self.seed = tables, item_tokens, batch_size, seed
        self._drawn: Iterator[tuple[Block, NDArray[Any]]] = iter(())
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
            yield block.batch(rows, self.item_tokens)

    def _endless(self) -> Iterator[tuple["Block", NDArray[Any]]]:
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

    def _block(self, table: pa.Table, number: int) -> Generator[tuple["Block", NDArray[Any]], None, pa.Table]:
        """A block's batches; returns the rows that did not fill one, which open the next block."""
        rng = np.random.default_rng((*self.seed, number))
        order = rng.permutation(table.num_rows)
        used = len(order) - len(order) % self.batch_size
        block = Block.of(table)
        by_length = order[:used][np.argsort(block.lengths[order[:used]], kind="stable")]
        for rows in rng.permutation(by_length.reshape(-1, self.batch_size)):
            yield block, rows
        return table.take(order[used:])


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
    """Some samples as flat arrays."""

    tokens: NDArray[Any]
    starts: NDArray[Any]
    lengths: NDArray[Any]
    targets: NDArray[Any]

    @classmethod
    def of(cls, table: pa.Table) -> "Block":
        lists = table["tokens"].combine_chunks()
        starts = lists.offsets.to_numpy().astype(np.int64)
        lengths = np.diff(starts)
        return cls(lists.values.to_numpy(), starts[:-1], lengths, table["target"].to_numpy())

    def batch(self, rows: NDArray[Any], item_tokens: NDArray[Any]) -> Batch:
        histories = padded(self.tokens, self.starts[rows], self.lengths[rows])
        return Batch(histories, torch.from_numpy(item_tokens[self.targets[rows]].astype(np.int64)))


def padded(values: NDArray[Any], starts: NDArray[Any], lengths: NDArray[Any]) -> Int[Tensor, "B T"]:
    """Rows values[starts[i] : starts[i] + lengths[i]], side by side, filled up with PAD."""
    columns = np.arange(int(lengths.max(initial=0)))
    real = columns < lengths[:, None]
    filled = np.full(real.shape, PAD, np.int64)
    filled[real] = values[(starts[:, None] + columns)[real]]
    return torch.from_numpy(filled)
