"""The rank of every target in its user's list, one sample at a time."""

import numpy as np


def ranks(entries, past, targets, excluded):
    """Ranks [S]; entries: a list of (item, score) for each sample, past: a set of items for each."""
    found = []
    for listed, before, target in zip(entries, past, targets, strict=True):
        kept = [(item, score) for item, score in listed if not (excluded and item in before)]
        own = [score for item, score in kept if item == target]
        if not own:
            found.append(np.nan)
            continue
        above = sum(score > own[0] for _, score in kept)
        level = sum(score == own[0] for _, score in kept) - 1
        found.append(1 + above + level / 2)
    return np.array(found)
