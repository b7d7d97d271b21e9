"""Prefixes of semantic ids named by the words that their items share."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unisid.ops.naming import counted, name_of, words_of
from unisid.ops.prefixes import row_keys

ITEMS = 1 << 15
"""Items from whose words prefixes are named, at most: a fair sample of a larger catalogue."""
LEAST = 4
"""Items from which a prefix has a name: fewer are listed as they are."""
SHARED = 0.1
"""The share of a prefix's items, and two at least, that must have a word for it to name the prefix."""
LIFT = 1.5
"""How many times as frequent a word must be in a prefix as in the prefix before it."""

GRAMMAR = frozenset(
    [
        "the",
        "and",
        "but",
        "nor",
        "for",
        "with",
        "from",
        "into",
        "onto",
        "over",
        "under",
        "his",
        "her",
        "its",
        "our",
        "your",
        "their",
        "you",
        "are",
        "was",
    ]
)
"""Words that say nothing of what they stand beside."""


@dataclass(frozen=True)
class Group:
    """The items of a prefix, and how many of them have each word."""

    items: int
    counts: Counter[str]

    def telling(self, before: "Group") -> set[str]:
        """The words that enough of these items have, and more of them than of the items of the prefix before."""
        least = max(2, SHARED * self.items)
        lifted = LIFT * self.items / before.items
        return {word for word, n in self.counts.items() if n >= least and n >= lifted * before.counts[word]}


def names(codes: NDArray[np.int32], texts: Sequence[str], levels: int | None = None) -> dict[tuple[int, ...], str]:
    """Prefix -> words that its items share and others have less; of prefixes that enough of the first items have.

    The first codes' words are set against all items, those of a longer prefix against the items of the prefix before
    it, so that a branch is named by what parts it from its neighbours. All levels but the last, or the first `levels`.
    """
    codes = codes[: len(texts)]
    words = [words_of(text) - GRAMMAR for text in texts]
    everywhere = {(): Group(len(words), counted(words))}
    found: dict[tuple[int, ...], str] = {}
    for length in range(1, (codes.shape[1] if levels is None else levels + 1)):
        _, first, group = np.unique(row_keys(codes[:, :length]), return_index=True, return_inverse=True)
        order = np.argsort(group.reshape(-1), kind="stable")
        members = np.split(order, np.cumsum(np.bincount(group.reshape(-1)))[:-1]) if len(order) else []
        inside = {}
        for start, items in zip(first.tolist(), members, strict=True):
            prefix = tuple(codes[start, :length].tolist())
            if len(items) < LEAST or prefix[:-1] not in everywhere:
                continue
            own = [words[item] for item in items.tolist()]
            before, inside[prefix] = everywhere[prefix[:-1]], Group(len(own), counted(own))
            telling = inside[prefix].telling(before)
            if name := name_of((each & telling for each in own), before.counts):
                found[prefix] = name
        if not inside:
            break
        everywhere = inside
    return found
