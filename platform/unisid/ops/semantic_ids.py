"""How a semantic id is written: (12, 7, 200) as '<a_12><b_7><c_200>': a to z, then aa, ab, ..., one a level.

One spelling for training, serving, the index and the command line. N items, L levels.
"""

import functools
import re
from collections.abc import Iterable, Sequence
from typing import Any, SupportsInt

import numpy as np
from numpy.typing import NDArray

from unisid.errors import ConfigError, DataError

LETTERS = "abcdefghijklmnopqrstuvwxyz"
TOKEN = re.compile(r"<([a-z]+)_(0|[1-9][0-9]{0,8})>")
NUMBERS = re.compile(r"[0-9]{1,9}([,-][0-9]{1,9})*")


@functools.cache
def letters(level: int) -> str:
    """The letters of a level, counted from 0: a, ..., z, aa, ab, ..., zz, aaa, ..."""
    if level < 0:
        raise ConfigError(f"semantic ids: level {level}; must be at least 0")
    above, last = divmod(level, len(LETTERS))
    return (letters(above - 1) if above else "") + LETTERS[last]


def token(level: int, code: int) -> str:
    """One code as a token: level 1, code 12 is '<b_12>'."""
    return f"<{letters(level)}_{code}>"


def tokens(sizes: Sequence[int]) -> list[str]:
    """Every token of an index of these level sizes, level after level: as `Codes.tokens` numbers them."""
    return [token(level, code) for level, size in enumerate(sizes) for code in range(size)]


def spell(codes: Iterable[SupportsInt]) -> str:
    """One item's codes as text."""
    return "".join(token(level, int(code)) for level, code in enumerate(codes))


def spell_all(codes: NDArray[Any]) -> list[str]:
    """Codes [N, L] as N texts."""
    spelled = np.full(len(codes), "", dtype=object)
    for level in range(codes.shape[1]):
        known, places = np.unique(codes[:, level], return_inverse=True)
        spelled += np.array([token(level, int(code)) for code in known], dtype=object)[places]
    return list(spelled)


def parse(text: str) -> tuple[int, ...]:
    """The codes of '<a_12><b_7>', '12,7' or '12-7': (12, 7). Raises DataError for anything else."""
    codes = tuple(int(code) for _, code in TOKEN.findall(text))
    if codes and spell(codes) == text:
        return codes
    if NUMBERS.fullmatch(text):
        return tuple(int(code) for code in re.split("[,-]", text))
    raise DataError(
        f"semantic id '{text:.60}': must look like '<a_12><b_7><c_200>' or '12,7,200', from the first level on"
    )
