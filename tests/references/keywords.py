"""Keywords of groups the slow way: terms of every text in sets, counted group by group."""

import math
from collections import Counter


def telling(texts: list[set[str]], groups: list[int]) -> dict[int, list[tuple[str, float]]]:
    """Group -> its terms with scores, the best first: p log(1 + G / df) of those that max(2, .15 n) items have."""
    members = {group: [t for t, g in zip(texts, groups, strict=True) if g == group] for group in set(groups) - {-1}}
    shares = {
        group: {term: n / len(own) for term, n in Counter(term for text in own for term in text).items()}
        for group, own in members.items()
    }
    present = Counter(term for own in shares.values() for term, share in own.items() if share >= 0.05)
    found = {}
    for group, own in shares.items():
        least = max(2, 0.15 * len(members[group]))
        scored = [
            (term, share * math.log1p(len(members) / present[term]))
            for term, share in own.items()
            if round(share * len(members[group])) >= least
        ]
        found[group] = sorted(scored, key=lambda each: (-each[1], " " in each[0], each[0]))
    return found
