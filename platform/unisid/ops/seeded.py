"""Order by seed: hashes of ids that decide numbering and ties, so that neither leaks the source's order.

A hash depends on the id and the seed alone: rows may come in any order, and new ids leave the order of the old ones
as it was. n strings, E rows.
"""

import numpy as np
from jaxtyping import Bool, Int, UInt8, UInt64

FNV_START, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def hash_strings(data: UInt8[np.ndarray, "b"], offsets: Int[np.ndarray, "m"], seed: int) -> UInt64[np.ndarray, "n"]:
    """A 64-bit hash of each string; string i is the bytes data[offsets[i] : offsets[i + 1]], and m = n + 1.

    FNV-1a, over all strings at once byte by byte, then mixed with the seed.
    """
    lengths = np.diff(offsets)
    hashes = np.full(len(lengths), FNV_START)
    alive, position = np.flatnonzero(lengths), 0
    while len(alive):
        hashes[alive] = (hashes[alive] ^ data[offsets[alive] + position]) * FNV_PRIME
        position += 1
        alive = alive[lengths[alive] > position]
    return mix(hashes ^ mix(np.full(1, seed, np.uint64)))


def seed_of(*numbers: int) -> int:
    """One seed for a torch generator out of several numbers; near numbers give unrelated draws."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def mix(value: UInt64[np.ndarray, "n"]) -> UInt64[np.ndarray, "n"]:
    """Every bit of the result depends on every bit of the value (the finaliser of SplitMix64)."""
    value = value + GOLDEN
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def sampled(start: int, stop: int, total: int, about: int) -> Bool[np.ndarray, "n"]:
    """Which of the numbers start to stop are in a sample of about so many of a total, 0 for all; n = stop - start.

    It depends on the number and on about / total alone, so that any part of a sample is drawn by itself; and of two
    samples the smaller lies in the larger.
    """
    if about == 0 or about >= total:
        return np.ones(stop - start, bool)
    limit = np.uint64(about / total * 2.0**64)
    return mix(np.arange(start, stop, dtype=np.uint64)) < limit


def pair(left: UInt64[np.ndarray, "E"], right: UInt64[np.ndarray, "E"]) -> UInt64[np.ndarray, "E"]:
    """A hash of two hashes; (a, b) and (b, a) differ."""
    return mix(mix(left) ^ right)
