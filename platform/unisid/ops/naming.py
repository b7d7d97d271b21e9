"""Groups of titles named by the words that they have more often than all titles."""

import re
from collections import Counter
from collections.abc import Iterable

WORD = re.compile(r"[^\W\d_]{3,}")
WORDS = 2
"""Words that name a group."""


def words_of(title: str) -> set[str]:
    """The words of a title, in small letters; shorter ones than three letters name nothing."""
    return set(WORD.findall(title.lower()))


def name_of(group: Iterable[set[str]], everywhere: Counter[str]) -> str:
    """The words of a group's titles of the largest n_wc^2 / n_w (n_wc titles of the group, n_w of all); '' for none."""
    inside = Counter(word for words in group for word in words)
    best = sorted(inside, key=lambda word: (-(inside[word] ** 2) / everywhere[word], word))[:WORDS]
    return " ".join(best)


def counted(titles: Iterable[set[str]]) -> Counter[str]:
    """Word -> the titles that have it."""
    return Counter(word for words in titles for word in words)
