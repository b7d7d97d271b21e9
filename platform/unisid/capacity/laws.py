"""What a stage's cost depends on besides how many units there are: how Parquet writes numbers, how many lists an index
searches, how many scores are held at once. N items."""

import math

import numpy as np

from unisid.ops.ranking import SCORES_AT_ONCE

DICTIONARY = 1 << 18
"""Distinct numbers of 32 bits that fit a dictionary of Parquet, which is a mebibyte; others are written out."""


SCORE_BYTES = 4 + 1 + 8
"""Of a score while its target is ranked, where the graph was measured: itself, whether it is above the target's, and
that as torch adds it up. Now it takes 4, and a block of joined items on several workers what is left."""


def number_bits(items: float, group: float) -> float:
    """The bits that Parquet takes for one number of an item, of so many of a row group, drawn from all items alike.

    A row group's distinct numbers stand in a dictionary, and every number by its place there:

        ceil(log2(d)) + d / group * entry,   d = N (1 - (1 - 1/N)^group)

    Places are packed to the bit, which cannot be compressed further; `entry` is what zstd makes of the four bytes of a
    distinct number. Where an item comes oftener than others d is smaller, and so is the file.
    """
    entry = entry_bits(items)
    distinct = items if items <= 1 else -items * math.expm1(group * math.log1p(-1 / items))
    if distinct <= DICTIONARY:
        return math.ceil(math.log2(max(1.0, distinct))) + distinct / group * entry
    placed = math.log1p(-DICTIONARY / items) / math.log1p(-1 / items)  # numbers until the dictionary is full
    return (placed * math.log2(DICTIONARY) + (DICTIONARY + group - placed) * entry) / group


def entry_bits(items: float) -> float:
    """The bits of a number below N in four bytes that are coded by one table, as zstd does: 4 times their entropy."""
    value, shares = np.arange(256.0), np.zeros(256)
    for place in range(4):
        step = 256.0**place
        period = 256 * step
        shares += items // period * step + np.clip(items % period - value * step, 0, step)
    found = shares[shares > 0] / shares.sum()
    return -4 * float(found @ np.log2(found))


def compared(lists: float) -> float:
    """How many vectors a vector is compared with, over the root of N, where its nearest are sought in so many lists.

    There are 4 sqrt(N) lists (`ops.nearest`): their centres once when the vector is put into one, once more when the
    nearest lists are sought; and sqrt(N) / 4 vectors in each of these. Learning the centres is in proportion to N.
    """
    return 4 + 4 + lists / 4


def score_bytes(ranked: float, items: float) -> float:
    """The memory of all items' scores for users of whom so many are ranked, as many at once as `SCORES_AT_ONCE` lets.

    It is full at some size (200 users: 84,000 items) and grows no further.
    """
    return SCORE_BYTES * min(ranked * items, SCORES_AT_ONCE)
