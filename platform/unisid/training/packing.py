"""Instructions from a stream, as the micro-batches of a language model's steps.

A prompt is tokenised piece by piece; one that is too long loses its oldest pieces. Samples lie end to end in few,
near-equally long rows, none longer than the model reads, and each has positions of its own.

The order is drawn in runs of neighbours, block by block, by (seed, block) alone. Worker r of W streams rows r, r + W,
...; a run is a multiple of W rows, so its rows fall to all workers evenly, and the workers' shares of a step are
together the rows that one worker would see in that step. Where W does not divide the table's rows, the stream leaves
out the last ones, fewer than W: from the second pass on, steps are so many rows ahead. A resumed fit goes to any step.
B rows, T tokens of the longest.
"""

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import torch

from unisid.artifacts import instructions
from unisid.artifacts.instructions import WORDS
from unisid.backbones import NO_LOSS, LanguageBackbone, Packed
from unisid.errors import ConfigError
from unisid.ops.prompts import SEPARATOR
from unisid.ops.semantic_ids import TOKEN
from unisid.training.feed import passes

ROWS_PER_RUN = 64
ROWS_PER_BLOCK = 1 << 14
"""Of all workers together: what is shuffled at once."""
KEPT_ROWS = 1 << 16
"""A share of no more rows stays in memory after its first pass: about a hundred megabytes of words."""
KEPT_TEXTS = 1 << 18
"""Texts whose tokens are remembered."""


@dataclass(frozen=True, kw_only=True)
class Batching:
    """How a step's samples are shared out. Only the global batch changes what is learned."""

    batch_size: int
    """Samples a step, over all workers."""
    micro_batch_size: int
    """Samples that a worker takes through the model at once."""
    workers: int = 1
    """How many share a step."""
    packed: bool = True
    """Samples end to end in a row; else one a row, beside others of near lengths."""

    def __post_init__(self) -> None:
        at_once = self.workers * self.micro_batch_size
        if min(self.batch_size, self.micro_batch_size, self.workers) < 1 or self.batch_size % at_once:
            raise ConfigError(
                f"batch_size {self.batch_size}: {self.workers} workers that take {self.micro_batch_size} "
                "samples at once must share it evenly; lower micro_batch_size or change batch_size"
            )

    @property
    def share(self) -> int:
        """Samples of a step that fall to each worker."""
        return self.batch_size // self.workers

    @property
    def micro_batches(self) -> int:
        """Micro-batches of a step, on every worker."""
        return self.share // self.micro_batch_size

    @property
    def rows_per_run(self) -> int:
        """Neighbours that stay together: the same for every number of workers that divides it."""
        return math.lcm(math.gcd(self.batch_size, ROWS_PER_RUN), self.workers)


COUNTED = ("samples", "shortened", "cut", "dropped")
"""Rows read; of these: the oldest pieces are gone, words are cut, it fits in no way."""


@dataclass(frozen=True)
class Sample:
    """A prompt and its response in a model's entries."""

    ids: list[int]
    num_learned: int
    """How many of the last entries are the response and its ending."""

    def __len__(self) -> int:
        return len(self.ids)


class Packer:
    """Puts rows of words into the entries of one model, and counts what that took."""

    def __init__(self, backbone: LanguageBackbone, packed: bool = True) -> None:
        self.backbone, self.packed = backbone, packed
        self.counts: Counter[str] = Counter()
        """By the names in COUNTED."""
        self._known: dict[str, list[int]] = {}

    def samples(self, table: pa.Table) -> list[Sample]:
        """The rows of a table (columns head, pieces, tail, response; separator where it is not our own) that fit."""
        columns = [table[name].to_pylist() for name in WORDS]
        own = instructions.SEPARATOR not in table.column_names
        columns.append([SEPARATOR] * table.num_rows if own else table[instructions.SEPARATOR].to_pylist())
        rows = list(zip(*columns, strict=True))
        self._learn({text for head, pieces, *others in rows for text in (head, *pieces, *others)})
        found = [self._sample(*row) for row in rows]
        self.counts.update(samples=len(found), dropped=found.count(None))
        return [sample for sample in found if sample is not None]

    def micro_batches(self, samples: Sequence[Sample], number: int) -> list[Packed]:
        """The samples in exactly so many micro-batches, of near-equal numbers of samples; some may be blank."""
        by_length = sorted(samples, key=len, reverse=True)
        if self.packed:
            return [pack(lay(by_length[n::number], self.backbone.max_tokens)) for n in range(number)]
        bounds = [len(samples) * n // number for n in range(number + 1)]
        return [pack([[sample] for sample in by_length[a:b]]) for a, b in pairwise(bounds)]

    def _sample(self, head: str, pieces: Sequence[str], tail: str, response: str, separator: str) -> Sample | None:
        known, backbone = self._known, self.backbone
        before, after = [*backbone.opening, *known[head]], [*known[tail], *backbone.closing]
        answer = known[response]
        room = backbone.max_tokens - len(before) - len(after) - len(answer) - len(backbone.ending)
        kept = newest([known[piece] for piece in pieces], known[separator], room)
        if not kept:
            cut = shorter(
                [*pieces[-1:], response], [*(known[piece] for piece in pieces[-1:]), answer], room + len(answer)
            )
            if cut is None:
                return None
            *kept, answer = cut
            self.counts["cut"] += 1
        elif len(kept) < len(pieces):
            self.counts["shortened"] += 1
        learned = [*answer, *backbone.ending]
        return Sample([*before, *joined(kept, known[separator]), *after, *learned], len(learned))

    def _learn(self, texts: set[str]) -> None:
        """Have the tokens of all these texts at hand."""
        missing = sorted(texts - self._known.keys())
        if len(self._known) + len(missing) > KEPT_TEXTS:
            self._known.clear()
            missing = sorted(texts)
        if missing:
            self._known.update(zip(missing, self.backbone.encode(missing), strict=True))


def newest(pieces: Sequence[list[int]], separator: list[int], room: int) -> list[list[int]]:
    """As many of the last pieces as fit, with separators between them."""
    first, room = len(pieces), room + len(separator)
    while first and (room := room - len(separator) - len(pieces[first - 1])) >= 0:
        first -= 1
    return list(pieces[first:])


def joined(pieces: Sequence[list[int]], separator: list[int]) -> list[int]:
    """The pieces in a row, with separators between them."""
    return [entry for n, piece in enumerate(pieces) for entry in ([*separator, *piece] if n else piece)]


def shorter(texts: Sequence[str], entries: Sequence[list[int]], room: int) -> list[list[int]] | None:
    """The entries of texts, of words cut from the end to fit, the first first; None where they cannot.

    What has a semantic id in it is never cut, and of words one entry is left.
    """
    over = sum(map(len, entries)) - room
    found = []
    for text, own in zip(texts, entries, strict=True):
        less = 0 if TOKEN.search(text) else max(0, min(over, len(own) - 1))
        found.append(own[: len(own) - less])
        over -= less
    return found if over <= 0 else None


def lay(samples: Sequence[Sample], room: int) -> list[list[Sample]]:
    """Samples, the longest first, in rows of at most so many entries: few rows, and near-equally full.

    Each goes to the row that is least full; where one runs over, it takes a row more.
    """
    number = -(-sum(map(len, samples)) // room)
    while True:
        rows: list[list[Sample]] = [[] for _ in range(number)]
        filled = [(0, row) for row in range(number)]
        for sample in samples:
            least, row = filled[0]
            heapq.heapreplace(filled, (least + len(sample), row))
            rows[row].append(sample)
        if number >= len(samples) or max(filled)[0] <= room:
            return rows
        number += 1


def pack(rows: Sequence[Sequence[Sample]]) -> Packed:
    """Rows of samples as tensors, as wide as the longest; what fills up is entry 0 at position 0, never learned.

    No rows make a blank micro-batch: one entry, nothing to learn.
    """
    width = max((sum(map(len, row)) for row in rows), default=1)
    ids, positions = (np.zeros((max(1, len(rows)), width), np.int64) for _ in range(2))
    labels = np.full_like(ids, NO_LOSS)
    for number, row in enumerate(rows):
        at = 0
        for sample in row:
            end = at + len(sample)
            ids[number, at:end] = sample.ids
            positions[number, at:end] = np.arange(len(sample))
            learned = slice(end - sample.num_learned, end)
            labels[number, learned] = ids[number, learned]
            at = end
    return Packed(*(torch.from_numpy(array) for array in (ids, positions, labels)))


class Steps:
    """The endless order of steps, one worker's share of them."""

    def __init__(self, tables: Callable[[], Iterator[pa.Table]], packer: Packer, batching: Batching, seed: int) -> None:
        """`tables` starts one pass over the worker's share of the stream (columns `Instructions.words`)."""
        self.tables, self.packer, self.batching, self.seed = tables, packer, batching, seed
        self._drawn: Iterator[pa.Table] = iter(())
        self._next = -1

    def steps(self, first: int, count: int) -> Iterator[list[Packed]]:
        """Steps `first` to `first + count`: the micro-batches of each, `batching.micro_batches` of them."""
        if self._next != first:
            self._drawn, self._next = self._shares(), 0
            while self._next < first:
                next(self._drawn)
                self._next += 1
        for _ in range(count):
            share = next(self._drawn)
            self._next += 1
            yield self.packer.micro_batches(self.packer.samples(share), self.batching.micro_batches)

    def _shares(self) -> Iterator[pa.Table]:
        """The rows of step after step."""
        share, held = self.batching.share, pa.table({})
        for block in self._blocks():
            held = pa.concat_tables([held, block]) if held.num_rows else block
            while held.num_rows >= share:
                yield held.slice(0, share)
                held = held.slice(share)

    def _blocks(self) -> Iterator[pa.Table]:
        """The share again and again, shuffled within blocks; a block ends with its pass."""
        run = self.batching.rows_per_run
        own_run, size = run // self.batching.workers, max(1, ROWS_PER_BLOCK // run) * run // self.batching.workers
        number = 0
        for tables in passes(self.tables, KEPT_ROWS):
            held = pa.table({})
            for table in tables:
                held = pa.concat_tables([held, table]) if held.num_rows else table
                while held.num_rows >= size:
                    yield self._shuffled(held.slice(0, size), own_run, number)
                    held, number = held.slice(size), number + 1
            if held.num_rows:
                yield self._shuffled(held, own_run, number)
                number += 1

    def _shuffled(self, block: pa.Table, run: int, number: int) -> pa.Table:
        """The block's runs in an order of its own; rows that fill no run come last."""
        starts = np.random.default_rng((self.seed, number)).permutation(block.num_rows // run) * run
        order = (starts[:, None] + np.arange(run)).reshape(-1)
        return block.take(np.concatenate([order, np.arange(len(order), block.num_rows)]))
