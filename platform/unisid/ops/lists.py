"""What lists of recommendations are like, apart from whether they are right: coverage, Gini, novelty, likeness.

S lists of k items (-1 fills up), N items, U users.
"""

import numpy as np
from jaxtyping import Int
from scipy import sparse

Array = np.ndarray
MOST_LISTS = 2000
"""Lists that the likeness within is computed of, drawn by seed."""


def counts_of(listed: Int[Array, "S k"], num_items: int) -> Int[Array, " N"]:
    """How many lists hold each item."""
    return np.bincount(listed[listed >= 0], minlength=num_items)


def coverage(counts: Int[Array, " N"]) -> float:
    """The share of all items that some list holds."""
    return float((counts > 0).mean())


def gini(counts: Int[Array, " N"]) -> float:
    """How unevenly lists hold the items: 0 where all equally often, towards 1 where one alone.

    G = sum_i (2i - N - 1) c_i / (N sum_i c_i), counts ascending.
    """
    total = counts.sum()
    if not total:
        return 0.0
    number = len(counts)
    weights = 2 * np.arange(1, number + 1) - number - 1
    return float((weights * np.sort(counts)).sum() / (number * total))


def novelty(listed: Int[Array, "S k"], users: Int[Array, " N"], num_users: int) -> float:
    """Mean self-information of the listed items in bits, -log2 of the share of users who took one in training.

    Every item counts for one user more, and so do all users, for an item that no user took.
    """
    shares = (users + 1) / (num_users + 1)
    return float(-np.log2(shares[listed[listed >= 0]]).mean()) if (listed >= 0).any() else 0.0


def likeness(listed: Int[Array, "S k"], users_of: sparse.csr_matrix, seed: int) -> float:
    """Mean over lists of the mean cosine of two of their items, by the users who took them in training.

    Args:
        users_of: [N, U], 1 where a user took an item.
        seed: which lists, where there are more than `MOST_LISTS`.
    """
    if len(listed) > MOST_LISTS:
        listed = listed[np.sort(np.random.default_rng(seed).choice(len(listed), MOST_LISTS, replace=False))]
    norms = np.sqrt(np.asarray(users_of.multiply(users_of).sum(axis=1)).reshape(-1))
    unit = sparse.diags(1.0 / np.maximum(norms, 1e-12)) @ users_of
    found = []
    for row in listed:
        items = row[row >= 0]
        if len(items) > 1:
            alike = (unit[items] @ unit[items].T).toarray()
            found.append((alike.sum() - np.trace(alike)) / (len(items) * (len(items) - 1)))
    return float(np.mean(found)) if found else 0.0
