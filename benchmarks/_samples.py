"""What recommenders of different catalogues answer to the same users, matched by the shop's item ids.

S samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.store import Place
from unisid.ops.by_user import Users, bootstrap_means, interval
from unisid.ops.ranking import metric_values
from unisid.serving.recommender import Recommender

MOST, SEED, RESAMPLES, K = 2000, 42, 2000, 10


@dataclass(frozen=True)
class Samples:
    """Ratings to come, and what their users rated before."""

    user: NDArray[np.str_]
    history: list[list[str]]
    """By sample, the oldest first."""
    target: list[str]
    is_new: NDArray[np.bool_]
    """[S] whether the target is an item that the first index lacks."""
    first: frozenset[str]
    """The items of the first index."""


def samples_of(before: pa.Table, later: pa.Table, first: frozenset[str]) -> Samples:
    """Some of the later interactions, drawn by seed, of users who have one before."""
    taken: dict[str, list[str]] = {}
    for user, item in zip(before["user_id"].to_pylist(), before["item_id"].to_pylist(), strict=True):
        taken.setdefault(user, []).append(item)
    found = []
    for user, item in zip(later["user_id"].to_pylist(), later["item_id"].to_pylist(), strict=True):
        history = taken.setdefault(user, [])
        if history:
            found.append((user, len(history), item))
        history.append(item)
    order = np.sort(np.random.default_rng(SEED).permutation(len(found))[:MOST])
    users, lengths, targets = zip(*(found[n] for n in order), strict=True)
    histories = [taken[user][:length] for user, length in zip(users, lengths, strict=True)]
    return Samples(np.array(users), histories, list(targets), np.array([t not in first for t in targets]), first)


@dataclass(frozen=True)
class Answers:
    """What came of each sample."""

    user: NDArray[np.str_]
    ndcg: NDArray[np.float64]
    hit: NDArray[np.float64]
    is_new: NDArray[np.bool_]
    listed: NDArray[np.int64]
    """[S] how many items were answered."""
    listed_new: NDArray[np.int64]
    """[S] of these, items that the first index lacks."""

    @classmethod
    def joined(cls, several: Sequence["Answers"]) -> "Answers":
        """Those of several periods."""
        return cls(*(np.concatenate([getattr(each, part.name) for each in several]) for part in fields(cls)))

    def figures(self) -> dict[str, Any]:
        """Means, with intervals over users; the share of new items in lists and how often one was found."""
        return {
            "ndcg@10": clustered(self.ndcg, self.user),
            "hr@10": clustered(self.hit, self.user),
            "new_share": float(self.listed_new.sum() / max(1, self.listed.sum())),
            "new_targets": int(self.is_new.sum()),
            "new_hr@10": float(self.hit[self.is_new].mean()) if self.is_new.any() else None,
        }


def answers(places: Mapping[str, Place], samples: Samples, goes_on: bool = False) -> Answers:
    """The answers of a recommender; a sample without an item of its catalogue has none."""
    recommender = Recommender.load(places["model"], places["codes"], places["catalog"], vectors=places, goes_on=goes_on)
    ids = Catalog.read(places["catalog"]).item_ids
    number = {item: n for n, item in enumerate(ids.to_pylist())}
    new = ~pc.is_in(ids, value_set=pa.array(sorted(samples.first), ids.type)).to_numpy(zero_copy_only=False)
    histories = [[number[item] for item in each if item in number] for each in samples.history]
    able = np.array([n for n, each in enumerate(histories) if each])
    listed = np.full((len(histories), K), -1, np.int64)
    listed[able] = recommender.rank([np.array(histories[n]) for n in able], K)[0]
    hit = listed == np.array([number.get(item, -2) for item in samples.target])[:, None]
    values = metric_values(np.where(hit.any(1), hit.argmax(1) + 1.0, np.nan), (K,))
    real = listed >= 0
    listed_new = (new[listed.clip(0)] & real).sum(1)
    return Answers(samples.user, values[:, 1], values[:, 0], samples.is_new, real.sum(1), listed_new)


def clustered(values: NDArray[np.float64], user: NDArray[np.str_]) -> dict[str, float]:
    """The mean over samples, and its 95% bootstrap interval over users, whose samples are drawn together."""
    low, high = interval(bootstrap_means(values[:, None], Users.of(user), RESAMPLES, SEED))
    return {"mean": float(values.mean()), "low": float(low[0]), "high": float(high[0])}
