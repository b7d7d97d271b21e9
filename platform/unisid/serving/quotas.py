"""Quotas: at most so many items of each category of a column, greedily down the ranking. N items, C categories."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from unisid.errors import DataError
from unisid.serving.filters import Filters, Mask

Ranked = tuple[Int[np.ndarray, " _"], Float[np.ndarray, " _"]]


@dataclass(frozen=True)
class Quota:
    """At most `most` items of each category of a column; a mapping limits the categories that it names."""

    column: str
    most: int | Mapping[str, int]

    def check(self, filters: Filters) -> None:
        """Raise DataError where the column, or a category that the quota names, is not there."""
        _, categories = filters.categories(self.column)
        if isinstance(self.most, int):
            return
        known = {str(category) for category in categories}
        if lost := [name for name in self.most if name not in known]:
            raise DataError(f"quota: no item has '{lost[0]}' in the column '{self.column}'")

    def limits(self, categories: list[Any]) -> Int[np.ndarray, " C"]:
        """Most items of each category."""
        if isinstance(self.most, int):
            return np.full(len(categories), self.most, np.int64)
        return np.array([self.most.get(str(category), 0) for category in categories], np.int64)


@dataclass
class Quotas:
    """Applies quotas to rankings; a column's categories are made once."""

    filters: Filters
    columns: dict[str, tuple[Int[np.ndarray, " N"], list[Any]]] = field(default_factory=dict)

    def choose(
        self, quota: Quota, ranked: Ranked, taken: Ranked, k: int, mask: Mask | None
    ) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"], Mask | None]:
        """The items of a ranking that a quota allows, after those chosen before.

        Returns the items and scores so far, and where they are fewer than k, though more may exist, the items that the
        next ranking may hold: those of categories that are not full, without the ones taken.
        """
        if quota.column not in self.columns:
            self.columns[quota.column] = self.filters.categories(quota.column)
        category, names = self.columns[quota.column]
        limits = quota.limits(names)
        counts = np.bincount(category[taken[0]], minlength=len(names))
        chosen: list[int] = []
        for place, item in enumerate(ranked[0].tolist()):
            of = category[item]
            if len(taken[0]) + len(chosen) < k and counts[of] < limits[of]:
                counts[of] += 1
                chosen.append(place)
        items = np.concatenate([taken[0], ranked[0][chosen]])
        scores = np.concatenate([taken[1], ranked[1][chosen]])
        if len(items) >= k or len(ranked[0]) < k:
            return items, scores, None
        left = (counts < limits)[category] if mask is None else mask & (counts < limits)[category]
        left[items] = False
        return items, scores, left if left.any() else None
