"""Numbers of users and items, and the order of interactions: the same for the same set of rows, whatever its order."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unisid.ops.seeded import hash_strings, pair
from unisid.stages.catalog.reading import Ints


def seeded_order(names: pa.ChunkedArray | pa.Array, kept: Ints, seed: int) -> Ints:
    """The positions of the kept ids, in the order of their numbers: by seeded hash, equal hashes by id."""
    chosen = np.flatnonzero(kept)
    names = names.take(chosen)
    chosen = chosen[pc.sort_indices(names).to_numpy()]
    names = names.take(pc.sort_indices(names))
    return chosen[np.argsort(hashes(names, seed), kind="stable")]


def hashes(names: pa.ChunkedArray | pa.Array, seed: int) -> Ints:
    """A seeded 64-bit hash of each id."""
    names = (names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names).cast(pa.large_string())
    _, offsets, data = names.buffers()
    if not len(names):
        return np.empty(0, np.uint64)
    starts = np.frombuffer(offsets, np.int64)[names.offset : names.offset + len(names) + 1]
    return hash_strings(np.frombuffer(data, np.uint8), starts, seed)


def numbers(order: Ints) -> Ints:
    """The inverse of an order: position -> number. What lies between, and is not in the order, is undefined."""
    number = np.zeros(order.max() + 1, np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    return number


@dataclass(frozen=True)
class Ties:
    """The seeded hashes of all users and items, which decide between a user's interactions of one time."""

    user: Ints
    item: Ints

    @classmethod
    def of(cls, users: pa.Array, items: pa.ChunkedArray | pa.Array, seed: int) -> "Ties":
        """By the ids in the order of their numbers."""
        return cls(hashes(users, seed + 1), hashes(items, seed + 2))


def time_order(user: Ints, item: Ints, timestamp: Ints, ties: Ties | None) -> Ints:
    """Rows by user, then time; equal times by a hash of user and item, or in the order given where there are none."""
    if ties is None:
        return np.lexsort((timestamp, user))
    return np.lexsort((pair(ties.user[user], ties.item[item]), timestamp, user))
