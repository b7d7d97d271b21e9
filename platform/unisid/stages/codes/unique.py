"""Guaranteed-unique semantic ids at any catalogue size, by groups of items that share a prefix.

Level by level from the top: below a code of level m there is room for the product of the later levels' sizes. Where
more items want a code than that, it keeps its nearest and moves its farthest to the next-nearest codes with room; at
the last level the room is one, and a linear assignment gives a prefix's items distinct codes at least total
distance. Items that no crowded group holds keep their nearest codes, which is optimal for them. So an item changes a
higher level only if all that lies below is full. Where an index is extended, the ids that are taken already leave less
room. N items, n items looked at again, M taken ids, D width, L levels, l of a prefix, G groups, K codes of a level.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int
from torch import Tensor

from unisid.artifacts.shards import Shards, to_arrow, write_array
from unisid.artifacts.store import Place
from unisid.compute import Part, Pool, Step
from unisid.ops.assignment import distinct_codes, place_within_room, run_starts
from unisid.ops.prefixes import narrowed, row_keys
from unisid.progress import Mapper
from unisid.tokenizers import Tokenizer, read_tokenizer

PART_ROWS = 1 << 14
"""Rows of one part of a streaming pass. It does not depend on the workers, so neither do the results."""
PLENTY = 1 << 40
"""More ids than any catalogue has items; a level's rooms of that size still add up to an integer."""

Function = Callable[[pa.Table], pa.Table]


class Encodes(Protocol):
    """A fitted tokenizer and the vectors of items."""

    def tokenizer(self) -> Tokenizer: ...

    def read(self, tokenizer: Tokenizer, rows: Int[np.ndarray, " n"]) -> Float[Tensor, "n D"]:
        """The vectors of items, where the tokenizer is."""
        ...


@dataclass(frozen=True)
class Encoder:
    """Where workers find the vectors and the fitted tokenizer."""

    vectors: Shards
    place: Place
    pool: Pool
    levels: tuple[int, int] | None = None
    """The levels of one part of the ids, where it is to encode these alone."""

    def tokenizer(self) -> Tokenizer:
        whole = read_tokenizer(self.place).to(self.pool.device())
        return whole if self.levels is None else whole.part(slice(*self.levels))

    def read(self, tokenizer: Tokenizer, rows: Int[np.ndarray, " n"]) -> Float[Tensor, "n D"]:
        """The vectors of items, where the tokenizer is."""
        return torch.from_numpy(self.vectors.read("vector", rows)).to(tokenizer.mean.device)


@dataclass(frozen=True)
class Taken:
    """Semantic ids that others have already; cheap to send to a worker."""

    shards: Shards | None = None
    """The ids, ascending; none are taken where it is left out."""

    @classmethod
    def write(cls, scratch: Place, codes: Int[np.ndarray, "M L"]) -> "Taken":
        """Those given, in a scratch shard."""
        scratch.clear()
        write_array(scratch, "taken", {"codes": codes[np.argsort(row_keys(codes))]})
        return cls(Shards(scratch, "taken"))

    def __len__(self) -> int:
        return 0 if self.shards is None else len(self.shards)

    def at(self, prefixes: Int[np.ndarray, "G l"]) -> Int[np.ndarray, " G"]:
        """How many ids are taken below each prefix."""
        if self.shards is None:
            return np.zeros(len(prefixes), np.int64)
        low, high = _under(self.shards.read("codes"), prefixes)
        return high - low

    def below(self, prefixes: Int[np.ndarray, "G l"], size: int) -> Int[np.ndarray, "G {size}"]:
        """How many ids are taken below each of the next level's `size` codes, after each prefix."""
        shape = (len(prefixes), size)
        if self.shards is None:
            return np.zeros(shape, np.int64)
        codes = self.shards.read("codes")
        low, high = (np.repeat(end, size) for end in _under(codes, prefixes))
        low, high = narrowed(codes[:, prefixes.shape[1]], low, high, np.tile(np.arange(size), len(prefixes)))
        return (high - low).reshape(shape)


def _under(
    codes: Int[np.ndarray, "M L"], prefixes: Int[np.ndarray, "G l"]
) -> tuple[Int[np.ndarray, " G"], Int[np.ndarray, " G"]]:
    """The first row of ascending codes that begins with each prefix, and the one after the last."""
    low, high = np.zeros(len(prefixes), np.int64), np.full(len(prefixes), len(codes))
    for level, wanted in enumerate(prefixes.T):
        low, high = narrowed(codes[:, level], low, high, wanted)
    return low, high


NONE_TAKEN = Taken()


def unique_codes(
    compute: Mapper,
    pool: Pool,
    work: Place,
    encoder: Encodes,
    codes: Int[np.ndarray, "N L"],
    sizes: tuple[int, ...],
    taken: Taken = NONE_TAKEN,
    first: int = 0,
) -> Int[np.ndarray, "N L"]:
    """Codes of which no two are equal and none is taken, from the nearest ones; prod(sizes) must be enough.

    Args:
        first: whose item the first row is, where the codes are of the last items alone.
    """
    codes = codes.copy()
    for level in range(len(sizes)):
        rows, starts = crowded(codes, sizes, level, taken)
        step = functools.partial(_resettle, encoder, taken, first, sizes=sizes, level=level)
        for table in revisit(compute, pool, work / f"crowded-{level}", rows, starts, codes, step):
            codes[table["row"].to_numpy()] = matrix(table["codes"])
    return codes


def unique_by_part(
    compute: Mapper,
    pool: Pool,
    work: Place,
    encoder: Encoder,
    codes: Int[np.ndarray, "N L"],
    sizes: tuple[int, ...],
    parts: tuple[int, ...],
) -> Int[np.ndarray, "N L"]:
    """`unique_codes` of every part of so many levels by itself: either alone names an item."""
    if len(parts) == 1:
        return unique_codes(compute, pool, work, encoder, codes, sizes)
    found = [
        unique_codes(compute, pool, work, replace(encoder, levels=(own.start, own.stop)), codes[:, own], sizes[own])
        for own in slices(parts)
    ]
    return np.concatenate(found, axis=1)


def slices(parts: tuple[int, ...]) -> list[slice]:
    """Where parts of so many levels lie: (2, 3) -> [0:2], [2:5]."""
    edges = [0, *itertools.accumulate(parts)]
    return [slice(start, stop) for start, stop in itertools.pairwise(edges)]


def matrix(column: pa.ChunkedArray) -> Int[np.ndarray, "n L"]:
    """A column of lists of one length as an array."""
    return column.combine_chunks().flatten().to_numpy().reshape(len(column), -1)


def room_below(sizes: tuple[int, ...], level: int) -> int:
    """How many ids there are below a code of a level; `PLENTY` where there are more."""
    return min(math.prod(sizes[level + 1 :]), PLENTY)


def crowded(
    codes: Int[np.ndarray, "N L"], sizes: tuple[int, ...], level: int, taken: Taken = NONE_TAKEN
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " _"]]:
    """The items of every prefix of `level` codes below which some code has more items than room, by prefix.

    Returns them with where each prefix's items start among them [G + 1]. Example, sizes (2, 2), codes
    [[0, 0], [0, 1], [1, 0], [0, 0]]: at level 0 there is room for 2 below a code, and code 0 has 3 items; all items
    share its empty prefix: rows [0, 1, 2, 3], starts [0, 4]. At level 1 there is room for 1, and [0, 0] has 2 items,
    of prefix [0]: rows [0, 1, 3], starts [0, 3].
    """
    room = room_below(sizes, level)
    if len(codes) + len(taken) <= room:
        return np.empty(0, np.int64), np.zeros(1, np.int64)
    _, first, counts = np.unique(row_keys(codes[:, : level + 1]), return_index=True, return_counts=True)
    full = first[counts + taken.at(codes[first, : level + 1]) > room]
    parents = row_keys(codes[:, :level])
    rows = np.flatnonzero(np.isin(parents, parents[full]))
    rows = rows[np.argsort(parents[rows], kind="stable")]
    return rows, run_starts(parents[rows])


def revisit(
    compute: Mapper,
    pool: Pool,
    scratch: Place,
    rows: Int[np.ndarray, " n"],
    starts: Int[np.ndarray, " _"],
    codes: Int[np.ndarray, "N _"],
    step: Callable[[Shards], Function],
) -> Iterator[pa.Table]:
    """Map over some items in parts that cut no group; the items and their codes lie in a scratch shard meanwhile."""
    if not len(rows):
        return
    scratch.clear()
    group = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    write_array(scratch, "rows", {"row": rows, "group": group, "codes": codes[rows]})
    shards = Shards(scratch, "rows")
    yield from compute.map(cut(starts), Step(functools.partial(step, shards), pool))
    scratch.clear()


def cut(starts: Int[np.ndarray, " _"]) -> list[Part]:
    """Parts of whole groups, of about PART_ROWS rows: a larger group is a part of its own."""
    wanted = np.arange(0, starts[-1], PART_ROWS)
    edges = np.unique(np.append(starts[np.searchsorted(starts, wanted)], starts[-1]))
    return [{"start": a, "stop": b} for a, b in itertools.pairwise(edges.tolist())]


def _open(
    shards: Shards, part: pa.Table
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, "n _"]]:
    """Items, group numbers and codes of a part."""
    where = np.arange(part["start"][0].as_py(), part["stop"][0].as_py())
    return shards.read("row", where), shards.read("group", where), shards.read("codes", where)


def _resettle(
    encoder: Encodes, taken: Taken, first: int, shards: Shards, *, sizes: tuple[int, ...], level: int
) -> Function:
    """Groups of crowded items -> codes with room for all at this level, and the nearest ones below."""
    tokenizer = encoder.tokenizer()

    @torch.no_grad()
    def step(part: pa.Table) -> pa.Table:
        rows, group, codes = _open(shards, part)
        old = torch.from_numpy(codes).long().to(tokenizer.mean.device)
        latents = tokenizer.latent(tokenizer.standardise(encoder.read(tokenizer, first + rows)))
        distances = tokenizer.distances(latents, old[:, :level]).cpu().numpy()
        starts = run_starts(group)
        room = room_below(sizes, level) - taken.below(codes[starts[:-1], :level], sizes[level])
        chosen = (
            distinct_codes(distances, starts, room)
            if level == len(sizes) - 1
            else _settle(distances, codes[:, level], starts, room)
        )
        new = torch.from_numpy(chosen).to(old.device)
        nearest = tokenizer.complete(latents, torch.cat([old[:, :level], new[:, None]], 1))
        old = torch.where((new != old[:, level])[:, None], nearest, old)
        return pa.table({"row": rows, "codes": to_arrow(old.int().cpu().numpy())})

    return step


def _settle(
    distances: Float[np.ndarray, "n K"],
    codes: Int[np.ndarray, " n"],
    starts: Int[np.ndarray, " _"],
    room: Int[np.ndarray, "G K"],
) -> Int[np.ndarray, " n"]:
    """New codes of one level: those of codes within their room stay, all others are placed anew."""
    chosen = codes.astype(np.int64)
    for own, first, last in zip(room, starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        counts = np.bincount(codes[first:last], minlength=distances.shape[1])
        crowd = first + np.flatnonzero((counts > own)[codes[first:last]])
        left = np.where(counts > own, own, own - counts)
        chosen[crowd] = place_within_room(distances[crowd], left)
    return chosen


def moved_distances(
    compute: Mapper,
    pool: Pool,
    work: Place,
    encoder: Encodes,
    before: Int[np.ndarray, "N L"],
    after: Int[np.ndarray, "N L"],
) -> dict[str, float]:
    """The cost of uniqueness: how many items moved, and by how much their squared latent distance grew."""
    rows = np.flatnonzero((before != after).any(1))
    both = np.concatenate([before, after], axis=1)
    step = functools.partial(_distances, encoder)
    total = np.zeros(2)
    parts = revisit(compute, pool, work / "moved", rows, np.arange(len(rows) + 1), both, step)
    for table in sorted(parts, key=lambda part: part["row"][0].as_py()):
        total += [table["before"].to_numpy().sum(), table["after"].to_numpy().sum()]
    mean = total / max(1, len(rows))
    return {
        "moved_items": len(rows),
        "moved_share": len(rows) / len(before),
        "moved_distance_before": float(mean[0]),
        "moved_distance_after": float(mean[1]),
        "extra_distance": float(mean[1] - mean[0]),
    }


def _distances(encoder: Encodes, shards: Shards) -> Function:
    tokenizer = encoder.tokenizer()

    @torch.no_grad()
    def step(part: pa.Table) -> pa.Table:
        rows, _, codes = _open(shards, part)
        latents = tokenizer.latent(tokenizer.standardise(encoder.read(tokenizer, rows)))
        pair = torch.from_numpy(codes).long().to(latents.device).chunk(2, dim=1)
        before, after = ((latents - tokenizer.lookup(c)).square().sum(1).double() for c in pair)
        return pa.table({"row": rows, "before": before.cpu().numpy(), "after": after.cpu().numpy()})

    return step
