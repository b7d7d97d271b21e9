"""What a result is compared with. One module a baseline; its `Config.build` fits it on a catalog.

A baseline learns from rows labelled TRAIN alone; the validation split only decides between its hyper-parameters.
It scores every item for every history, so that one evaluator ranks all methods. B batch, N items.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from unisid.artifacts.catalog import VALID, Catalog
from unisid.artifacts.store import Place
from unisid.config import PlugIn
from unisid.errors import ArtifactError
from unisid.ops.distinct import sorted_unique
from unisid.ops.ranking import SCORES_AT_ONCE, first_items, metric_values, rank_of_target

HISTORIES_AT_ONCE = 4096
"""Most samples that are ranked at once, however few items there are."""


@dataclass(frozen=True)
class Histories:
    """Histories of B samples, joined."""

    items: NDArray[np.int64]
    """[sum of lengths], each history oldest first."""
    lengths: NDArray[np.int64]
    """[B]."""
    users: NDArray[np.int64] | None = None
    """[B]: their users' numbers; None for users outside the catalog."""
    past: "Histories | None" = None
    """All that the users took before, of which the histories are the ends; None: no more than these."""

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
    def of(cls, joined: tuple[NDArray[Any], NDArray[np.int64]], users: NDArray[Any] | None = None) -> "Histories":
        """From what `Catalog.history` and `Catalog.past` return."""
        items, lengths = joined
        return cls(items.astype(np.int64), lengths, None if users is None else users.astype(np.int64))

    @classmethod
    def before(cls, catalog: Catalog, rows: NDArray[np.int64]) -> "Histories":
        """Those of a catalog's samples, with all that their users took before."""
        ends = cls.of(catalog.history(rows), catalog.user[rows])
        return replace(ends, past=cls.of(catalog.past(rows)))


@runtime_checkable
class Baseline(Protocol):
    """A fitted scorer."""

    chosen: dict[str, float]
    """The hyper-parameters that validation chose, by name."""

    def scores(self, histories: Histories) -> Float[Tensor, "B N"]:
        """How likely each item comes next; the caller masks what is not to be recommended."""
        ...


@runtime_checkable
class SameForAll(Baseline, Protocol):
    """A baseline that scores items alike for all users: it is ranked in log N a sample, not N."""

    for_all: Float[Tensor, " N"]


class BaselineConfig(PlugIn):
    """Base of the baselines' settings."""

    trained: ClassVar[bool] = False
    """Whether it takes training: then the stage `baseline` makes it; else `metrics` can, each time anew."""
    reads: ClassVar[tuple[str, ...]] = ("catalog",)
    """The nouns that `build_from` reads."""

    @abstractmethod
    def build(self, catalog: Catalog) -> Baseline:
        """Fit on the training rows of a catalog."""

    def build_from(self, inputs: Mapping[str, Place]) -> Baseline:
        """As `build`, from the artifacts that it reads."""
        return self.build(Catalog.read(inputs["catalog"]))


def mask_past(scores: Float[Tensor, "B N"], past: Histories) -> Float[Tensor, "B N"]:
    """Scores with -inf at all that each sample's user took before."""
    masked = scores.clone()
    rows, items = (torch.from_numpy(array).to(scores.device) for array in (past.rows, past.items))
    masked[rows, items] = -torch.inf
    return masked


def rank_targets(
    baseline: Baseline, catalog: Catalog, rows: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Batch by batch, the ranks of samples' targets over all items with the user's past excluded, and allowed.

    Args:
        rows: the samples, as `Catalog.samples` gives them.

    Raises:
        ArtifactError: for scores that are NaN or infinite.
    """
    for excluded, allowed, _ in rank_and_list(baseline, catalog, rows, 0):
        yield excluded, allowed


def rank_and_list(
    baseline: Baseline, catalog: Catalog, rows: NDArray[np.int64], length: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]]:
    """As `rank_targets`, and besides the first `length` items [B, length] with the user's past excluded, the best first
    and equal ones by number; -1 where no more are left."""
    if isinstance(baseline, SameForAll):
        yield from _rank_for_all(baseline, catalog, rows, length)
        return
    size = min(HISTORIES_AT_ONCE, max(1, SCORES_AT_ONCE // max(1, catalog.num_items)))
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        histories = Histories.before(catalog, some)
        scores = baseline.scores(histories)
        _check_finite(baseline, scores)
        assert histories.past is not None
        without = mask_past(scores, histories.past)
        targets = torch.from_numpy(catalog.item[some].astype(np.int64)).to(scores.device)
        excluded, allowed = (rank_of_target(each, targets).cpu().numpy() for each in (without, scores))
        yield excluded, allowed, first_items(without, length).cpu().numpy()


def _check_finite(baseline: Baseline, scores: Tensor) -> None:
    if not scores.isfinite().all():
        raise ArtifactError(
            f"{type(baseline).__name__}: gives items scores that are NaN or infinite: it diverged "
            "in training; train it anew, with a lower learning rate"
        )


def _rank_for_all(
    baseline: SameForAll, catalog: Catalog, rows: NDArray[np.int64], length: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]]:
    """As `rank_and_list`, for scores that are the same for all users: by search among the ordered scores.

    Excluded are a user's distinct past items: each that is above the target takes 1 of its rank, each level with it
    1/2. A target that is past itself is not ranked.
    """
    scores = baseline.for_all
    _check_finite(baseline, scores)
    ordered = scores.sort().values
    order = scores.argsort(descending=True, stable=True)
    place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))
    for start in range(0, len(rows), HISTORIES_AT_ONCE):
        some = rows[start : start + HISTORIES_AT_ONCE]
        past, targets = Histories.of(catalog.past(some)), torch.from_numpy(catalog.item[some].astype(np.int64))
        own = scores[targets]
        below, at_most = (torch.searchsorted(ordered, own, right=right) for right in (False, True))
        allowed = 1.0 + (len(ordered) - at_most).double() + 0.5 * (at_most - below - 1).double()
        pairs = torch.from_numpy(sorted_unique(past.rows.astype(np.int64) * len(scores) + past.items))
        of, items = pairs // len(scores), pairs % len(scores)
        worth = (scores[items] > own[of]).double() + 0.5 * (scores[items] == own[of]).double()
        excluded = allowed - torch.zeros(len(targets), dtype=torch.float64).index_add_(0, of, worth)
        excluded[of[items == targets[of]]] = torch.nan
        yield excluded.numpy(), allowed.numpy(), _first_but(order, place, of, items, len(some), length).numpy()


def _first_but(
    order: Int[Tensor, " N"],
    place: Int[Tensor, " N"],
    of: Int[Tensor, " P"],
    items: Int[Tensor, " P"],
    num_samples: int,
    length: int,
) -> Int[Tensor, "B length"]:
    """The first items of an order for each sample without its own; -1 where no more are left.

    The j-th that is left, from 0, stands at j plus the number of own items that have at most j others before them.

    Args:
        place: each item's place in the order.
        of, items: every sample's own items, each once, samples ascending.
    """
    size = len(order)
    pairs = (of * size + place[items]).sort().values
    counts = torch.bincount(of, minlength=num_samples)
    number = torch.arange(len(pairs)) - (counts.cumsum(0) - counts)[of]
    others = pairs % size - number
    near = others < length
    passed = torch.bincount(of[near] * length + others[near], minlength=num_samples * length)
    places = torch.arange(length) + passed.view(num_samples, length).cumsum(1)
    return torch.where(places < size, order[places.clamp(max=size - 1)], -1)


def validation_rows(catalog: Catalog, most: int, seed: int) -> NDArray[np.int64]:
    """Validation samples that decide between hyper-parameters: at most so many, drawn by seed."""
    rows = catalog.samples(VALID)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False)) if len(rows) > most else rows


def validation_ndcg(baseline: Baseline, catalog: Catalog, rows: NDArray[np.int64]) -> float:
    """Mean NDCG@10 of some samples, with the user's past excluded; 0 where there are none."""
    ranks = [excluded for excluded, _ in rank_targets(baseline, catalog, rows)]
    return float(metric_values(np.concatenate(ranks), (10,))[:, 1].mean()) if ranks else 0.0
