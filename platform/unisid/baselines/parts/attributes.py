"""Attributes of items for baselines that read some: the words that several items' texts share.

N items, A attributes.
"""

import re
from collections import Counter

import torch
from jaxtyping import Float
from torch import Tensor

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.tables import read_table

WORD = re.compile(r"\w+")
LARGEST_SHARE = 0.5
"""A word of a larger share of items says nothing of one."""


def attributes(catalog: Catalog, most: int) -> Float[Tensor, "N A"]:
    """1 where an item's text (its title, in a catalog without texts) has a word: the `most` frequent words of at least
    two items and at most half of them, the more frequent first, equal ones by the alphabet. Without any, one attribute
    that no item has."""
    table = read_table(catalog.place, "items")
    texts = table["text" if "text" in table.column_names else "title"].to_pylist()
    words = [set(WORD.findall((text or "").lower())) for text in texts]
    counts = Counter(word for each in words for word in each)
    usual = [(-n, word) for word, n in counts.items() if 2 <= n <= max(2, LARGEST_SHARE * len(words))]
    column = {word: place for place, (_, word) in enumerate(sorted(usual)[:most])}
    found = torch.zeros(len(words), max(1, len(column)))
    for item, each in enumerate(words):
        found[item, [column[word] for word in each if word in column]] = 1.0
    return found
