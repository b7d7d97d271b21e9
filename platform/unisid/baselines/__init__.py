"""What a result is compared with. One module a baseline; its `Config.build` fits it on a catalog.

A baseline learns from rows labelled TRAIN alone; the validation split only decides between its hyper-parameters.
It scores every item for every history, so that one evaluator ranks all methods. B batch, N items.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from unisid.artifacts.catalog import Catalog
from unisid.config import PlugIn
from unisid.ops.ranking import SCORES_AT_ONCE, rank_of_target


@dataclass(frozen=True)
class Histories:
    """Histories of B samples, joined."""

    items: NDArray[np.int64]
    """[sum of lengths], each history oldest first."""
    lengths: NDArray[np.int64]
    """[B]."""

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Which sample each entry of `items` belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def ages(self) -> NDArray[np.int64]:
        """How many later items the history has: 0 for the last one."""
        return np.repeat(np.cumsum(self.lengths), self.lengths) - 1 - np.arange(len(self.items))

    @classmethod
    def of(cls, joined: tuple[NDArray[Any], NDArray[np.int64]]) -> "Histories":
        """From what `Catalog.history` and `Catalog.past` return."""
        items, lengths = joined
        return cls(items.astype(np.int64), lengths)


class Baseline(Protocol):
    """A fitted scorer."""

    chosen: dict[str, float]
    """The hyper-parameters that validation chose, by name."""

    def scores(self, histories: Histories) -> Float[Tensor, "B N"]:
        """How likely each item comes next; the caller masks what is not to be recommended."""
        ...


class BaselineConfig(PlugIn):
    """Base of the baselines' settings."""

    @abstractmethod
    def build(self, catalog: Catalog) -> Baseline:
        """Fit on the training rows of a catalog."""


def mask_past(scores: Float[Tensor, "B N"], past: Histories) -> Float[Tensor, "B N"]:
    """Scores with -inf at all that each sample's user took before."""
    masked = scores.clone()
    masked[torch.from_numpy(past.rows), torch.from_numpy(past.items)] = -torch.inf
    return masked


def rank_targets(
    baseline: Baseline, catalog: Catalog, rows: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Batch by batch, the ranks of samples' targets over all items with the user's past excluded, and allowed.

    Args:
        rows: the samples, as `Catalog.samples` gives them.
    """
    size = max(1, SCORES_AT_ONCE // max(1, catalog.num_items))
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        targets = torch.from_numpy(catalog.item[some].astype(np.int64))
        scores = baseline.scores(Histories.of(catalog.history(some)))
        without = mask_past(scores, Histories.of(catalog.past(some)))
        yield rank_of_target(without, targets).numpy(), rank_of_target(scores, targets).numpy()
