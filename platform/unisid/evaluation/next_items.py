"""How near the next item is: by item vectors, and by the prefixes of codes; no recommender is trained.

N items, n of them, S steps from an item to the next, D width, L levels, k places.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from unisid.artifacts.catalog import VALID, Catalog

PLACES = 50
"""The first so many items count as near."""
STEPS = 5000
"""Steps of validation that are looked at, at most."""
AT_ONCE = 256
"""Steps whose items are compared at one time."""
SEED = 42

Closeness = Callable[[Int[np.ndarray, " n"]], Float[np.ndarray, "n N"]]
"""Items -> how close all items are to each."""


def held_out_steps(catalog: Catalog, rows: Int[np.ndarray, " N"], most: int = STEPS) -> Int[np.ndarray, "S 2"]:
    """The item before each validation target, and that target, as positions in `rows`; none to itself.

    Args:
        most: steps; where there are more, so many are drawn by seed.
    """
    place = np.full(catalog.num_items, -1)
    place[rows] = np.arange(len(rows))
    targets = catalog.samples(VALID)
    steps = place[np.column_stack([catalog.item[targets - 1], catalog.item[targets]])]
    steps = steps[(steps >= 0).all(axis=1) & (steps[:, 0] != steps[:, 1])]
    if len(steps) > most:
        steps = steps[np.sort(np.random.default_rng(SEED).permutation(len(steps))[:most])]
    return steps


def by_cosine(vectors: Float[np.ndarray, "N D"]) -> Closeness:
    """Closeness of vectors; one that is zero is as far from every other as a right angle."""
    unit = unit_length(vectors)
    return lambda items: unit[items] @ unit.T


def unit_length(vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    """Every vector scaled to the length 1; one that is zero stays so."""
    plain = np.asarray(vectors, np.float32)
    return plain / np.maximum(np.linalg.norm(plain, axis=1, keepdims=True), 1e-12)


def by_prefix(codes: Int[np.ndarray, "N L"]) -> Closeness:
    """Closeness of semantic ids: the length of the prefix in common."""

    def common(items: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n N"]:
        equal = np.ones((len(items), len(codes)), bool)
        total = np.zeros(equal.shape, np.float32)
        for level in codes.T:
            equal &= level[items][:, None] == level[None]
            total += equal
        return total

    return common


def share_found(steps: Int[np.ndarray, "S 2"], closeness: Closeness, places: int = PLACES) -> float:
    """The share of steps whose target is among the k items closest to the item before it, that item left out.

    Items that are equally close share the places left to them: with a items closer than the target and b as close, the
    target among these, it counts min(1, max(0, (k - a) / b)). By chance: k / (N - 1). NaN where there is no step. With
    cosines this is the embedding hit rate of FORGE.
    """
    if not len(steps):
        return float("nan")
    total = 0.0
    for start in range(0, len(steps), AT_ONCE):
        before, target = steps[start : start + AT_ONCE].T
        close, row = closeness(before), np.arange(len(before))
        close[row, before] = -np.inf
        own = close[row, target][:, None]
        total += found_among((close > own).sum(axis=1), (close == own).sum(axis=1), places)
    return total / len(steps)


def found_among(nearer: Int[np.ndarray, " S"], equal: Int[np.ndarray, " S"], places: int = PLACES) -> float:
    """How many targets lie in the places, of so many items that are nearer and equally near, the target among these."""
    return float(np.clip((places - nearer) / equal, 0, 1).sum())
