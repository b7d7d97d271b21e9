"""Prefixes of semantic ids named by the words that their items share."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unisid.ops.naming import counted, name_of, words_of
from unisid.ops.prefixes import row_keys

ITEMS = 1 << 15
"""Items from whose words prefixes are named, at most: a fair sample of a larger catalogue."""
LEAST = 4
"""Items from which a prefix has a name: fewer are listed as they are."""


def names(codes: NDArray[np.int32], texts: Sequence[str], levels: int | None = None) -> dict[tuple[int, ...], str]:
    """Prefix -> words that at least two of its items share; of prefixes that enough of the first items have.

    The first codes' words are set against all items, those of a longer prefix against the items of the prefix before
    it, so that a branch is named by what parts it from its neighbours. All levels but the last, or the first `levels`.
    """
    codes = codes[: len(texts)]
    words = [words_of(text) for text in texts]
    everywhere = {(): counted(words)}
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
            if name := name_of(own, everywhere[prefix[:-1]], least=2):
                found[prefix] = name
            inside[prefix] = counted(own)
        if not inside:
            break
        everywhere = inside
    return found
