"""How good a semantic index is, before any recommender was trained on it. Pure functions of codes and what they name.

N items, L levels, K codes of a level, P sampled pairs, D width, E training interactions.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int, Num, Shaped
from scipy import sparse

from unisid.artifacts.record import Record
from unisid.bounds import Settings, Share
from unisid.errors import DataError
from unisid.ops.prefixes import row_keys

PAIRS = 20_000
"""Pairs of items sampled for each figure."""


@dataclass(frozen=True, kw_only=True)
class Gate(Settings):
    """Thresholds below which an index is refused, as shares of what is possible; 0 refuses nothing."""

    where: ClassVar[str] = "codes.gate"

    distinct: Share = 0.0
    """Least distinct tuples before resolution, as a share of the items (healthy: above 0.7)."""
    usage: Share = 0.0
    """Least share of a level's codes that some item uses."""
    entropy: Share = 0.0
    """Least entropy of a level's codes, as a share of that of equal use."""


def check(gate: Gate, report: dict[str, Any]) -> None:
    """Raises DataError that lists every figure below its threshold."""
    figures = [("distinct_share", report["distinct_share"], gate.distinct)]
    for name, least in (("usage", gate.usage), ("entropy", gate.entropy)):
        figures += [(f"{name} of level {m + 1}", value, least) for m, value in enumerate(report[name])]
    low = [f"{name} is {value:.3f}, the gate requires {least:.3f}" for name, value, least in figures if value < least]
    if low:
        raise DataError(
            f"codes: the index is below its quality gate: {'; '.join(low)}. Train longer, change "
            "codes.tokenizer, or lower codes.gate"
        )


def recorded(record: Record) -> dict[str, Any]:
    """The figures that `check` and `describe` name, of a complete index; raises ArtifactError where one is missing."""
    return {
        "distinct_share": record.figure("quality", "distinct_share"),
        "usage": record.figures("quality", "usage"),
        "entropy": record.figures("quality", "entropy"),
    }


def describe(codes: Int[np.ndarray, "N L"], sizes: tuple[int, ...]) -> dict[str, Any]:
    """Use of every level and collisions, of codes as the tokenizer gave them."""
    shares = [np.bincount(codes[:, m], minlength=size) / len(codes) for m, size in enumerate(sizes)]
    counts = np.unique(row_keys(codes), return_counts=True)[1]
    return {
        "usage": [float((share > 0).mean()) for share in shares],
        "entropy": [entropy(share) for share in shares],
        "distinct_share": len(counts) / len(codes),
        "collision_rate": float(counts[counts > 1].sum()) / len(codes),
        "largest_collision": int(counts.max()),
        "gini": gini(counts),
    }


def entropy(shares: Float[np.ndarray, " K"]) -> float:
    """-sum p log p, as a share of its greatest value: 1 for equal use, 0 for one code of several."""
    if len(shares) == 1:
        return 1.0
    used = shares[shares > 0]
    return abs(float(-(used * np.log(used)).sum() / math.log(len(shares))))


def gini(counts: Num[np.ndarray, " K"]) -> float:
    """How unequally the codes in use share the items (FORGE): 0 where each has as many, even where one has all.

    G = (N + 1) / N - 2 sum_i (N + 1 - i) n_i / (N sum_i n_i), with the counts n_1 <= ... <= n_N of the codes that are
    used.
    """
    used = np.sort(counts[counts > 0]).astype(np.float64)
    size = len(used)
    return float((size + 1) / size - 2 * (np.arange(size, 0, -1) * used).sum() / (size * used.sum()))


def pairs_within(
    keys: Shaped[np.ndarray, " N"], count: int, seed: int
) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
    """Pairs of different items with one key: an item at random among those that have company, then one of its company.

    Empty where every key is its own. Example, keys [5, 7, 5, 5]: in order of key the items are 0, 2, 3, 1, in groups
    that start at 0 and 3 with 3 and 1 items. Only the first group has company. Place 1 (item 2) with a draw of 2
    gets the place 0 + (1 - 0 + 2) % 3 = 0: the pair (2, 0). Draws from 1 to size - 1 never give the item itself.
    """
    order = np.argsort(keys, kind="stable")
    _, starts, counts = np.unique(keys[order], return_index=True, return_counts=True)
    group = np.repeat(np.arange(len(counts)), counts)
    company = np.flatnonzero(counts[group] > 1)
    if not len(company):
        return company, company
    random = np.random.default_rng(seed)
    first = random.choice(company, count)
    size, start = counts[group[first]], starts[group[first]]
    second = start + (first - start + random.integers(1, size)) % size
    return order[first], order[second]


def pairs_across(
    keys: Shaped[np.ndarray, " N"], count: int, seed: int
) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
    """At most `count` pairs of items of different keys, drawn uniformly; empty where all keys are equal."""
    random = np.random.default_rng(seed)
    first, second = random.integers(0, len(keys), (2, 4 * count))
    differ = np.flatnonzero(keys[first] != keys[second])[:count]
    return first[differ], second[differ]


def prefix_pairs(
    codes: Int[np.ndarray, "N L"], seed: int
) -> Iterator[tuple[str, Int[np.ndarray, " P"], Int[np.ndarray, " P"]]]:
    """Samples by name: pairs across first codes, and pairs within prefixes of each length short of a whole id."""
    for length in range(1, codes.shape[1]):
        keys = row_keys(codes[:, :length])
        if length == 1:
            yield "across", *pairs_across(keys, PAIRS, seed)
        yield f"within_{length}", *pairs_within(keys, PAIRS, seed + length)


def consistency(
    codes: Int[np.ndarray, "N L"], read: Callable[[Int[np.ndarray, " P"]], Float[np.ndarray, "P D"]], seed: int
) -> dict[str, Any]:
    """Mean cosine of the vectors of two items, across first codes and within prefixes of 1, 2, ... codes."""
    found = {}
    for name, first, second in prefix_pairs(codes, seed):
        left, right = read(first).astype(np.float64), read(second).astype(np.float64)
        norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        found[name] = _mean((left * right).sum(1) / np.maximum(norms, 1e-12))
    return {"cosine": found}


def shared_users(
    codes: Int[np.ndarray, "N L"], edges: tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"]], seed: int
) -> dict[str, Any]:
    """Mean share of users that two items have in common (of all users of either), across and within prefixes."""
    user, item = edges
    ones = np.ones(len(user), np.float32)
    num_users = int(user.max(initial=-1)) + 1
    users_of = sparse.csr_matrix((ones, (item, user)), shape=(len(codes), max(1, num_users)))
    return {
        "user_overlap": {
            name: _mean(jaccard(users_of, first, second)) for name, first, second in prefix_pairs(codes, seed)
        }
    }


def jaccard(
    users_of: sparse.csr_matrix, first: Int[np.ndarray, " P"], second: Int[np.ndarray, " P"]
) -> Float[np.ndarray, " P"]:
    """|A and B| / |A or B| of the users of two items, for every pair; 0 where neither has a user."""
    degree = np.diff(users_of.indptr)
    both = np.asarray(users_of[first].multiply(users_of[second]).sum(axis=1)).reshape(-1)
    either = degree[first] + degree[second] - both
    return both / np.maximum(either, 1)


def _mean(values: Float[np.ndarray, " P"]) -> float | None:
    return float(values.mean()) if len(values) else None
