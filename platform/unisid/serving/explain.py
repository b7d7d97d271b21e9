"""Explanations of recommendations: the item's prefixes by name, and the history items that raised its score.

The contribution of a history item is the score of the answer with the whole history, less its score with that item
removed. T items of a history, k answers, N items.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from unisid.ops.semantic_ids import spell
from unisid.serving.pair import Pair

MOVERS = 3
"""Items of the history that an explanation names."""


@dataclass(frozen=True)
class Step:
    """A prefix on the way to an item."""

    prefix: str
    items: int
    """Items below it."""
    words: str
    """What their titles have and those of the prefixes beside it have less (`ops.keywords`); empty for few items and
    where they share nothing."""


@dataclass(frozen=True)
class Explanation:
    """The explanation of one recommended item."""

    path: tuple[Step, ...]
    moved_by: tuple[tuple[int, float], ...]
    """Items of the history, and how much larger the score is with them (in log-probability); the largest first."""


def explanations(pair: Pair, history: Int[np.ndarray, " T"], items: Int[np.ndarray, " k"]) -> Iterator[Explanation]:
    """One explanation for each recommended item, in order; without contributions where there is no history."""
    read = history[-pair.recommender.history_length :]
    candidates, gains = _gains(pair, read, items)
    named: dict[tuple[int, ...], Step] = {}
    for number, item in enumerate(items.tolist()):
        order = np.argsort(-np.abs(gains[:, number]), kind="stable")[:MOVERS]
        moved = tuple((int(candidates[place]), float(gains[place, number])) for place in order)
        codes = tuple(pair.codes.codes[item].tolist())
        prefixes = [codes[: level + 1] for level in range(len(codes))]
        yield Explanation(tuple(_step(pair, prefix, named) for prefix in prefixes), moved)


def _gains(
    pair: Pair, read: Int[np.ndarray, " T"], items: Int[np.ndarray, " k"]
) -> tuple[Int[np.ndarray, " D"], Float[np.ndarray, "D k"]]:
    """The distinct items of a history, and their contributions to the scores of the answers."""
    candidates = np.unique(read)
    if len(candidates) < 2 or not len(items):  # without its only item there is no history to rank
        return candidates[:0], np.empty((0, len(items)))
    allowed = np.zeros(pair.num_items, bool)
    allowed[items] = True
    histories = [read, *(read[read != item] for item in candidates)]
    found, scores = pair.recommender.rank(histories, len(items), False, None, allowed)
    place = {item: number for number, item in enumerate(items.tolist())}
    by_item = np.empty(scores.shape)
    for row, (numbers, values) in enumerate(zip(found.tolist(), scores, strict=True)):
        by_item[row, [place[number] for number in numbers]] = values
    return candidates, by_item[0] - by_item[1:]


def _step(pair: Pair, prefix: tuple[int, ...], named: dict[tuple[int, ...], Step]) -> Step:
    if prefix not in named:
        named[prefix] = Step(spell(prefix), len(pair.codes.find(prefix)), pair.name_of(prefix))
    return named[prefix]
