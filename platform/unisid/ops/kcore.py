"""The k-core of interactions. E interactions, U users, N items."""

import numpy as np
from jaxtyping import Bool, Int


def k_core(user: Int[np.ndarray, "E"], item: Int[np.ndarray, "E"], k: int) -> Bool[np.ndarray, "E"]:
    """Which interactions belong to the largest subset whose users and items all have k of them or more.

    That subset is unique, whatever order rows are removed in; so the answer does not depend on the rows' order. A
    pair that occurs twice counts twice, as in the published 5-core sets.
    """
    alive = np.arange(len(user))
    while len(alive):
        users, items = user[alive], item[alive]
        stays = (np.bincount(users)[users] >= k) & (np.bincount(items)[items] >= k)
        if stays.all():
            break
        alive = alive[stays]
    kept = np.zeros(len(user), bool)
    kept[alive] = True
    return kept


def largest_k(user: Int[np.ndarray, "E"], item: Int[np.ndarray, "E"], below: int) -> int:
    """The largest k under `below` whose core is not empty; 0 where there are no interactions."""
    for k in range(below - 1, 0, -1):
        if k_core(user, item, k).any():
            return k
    return 0
