"""By what trials are compared. Each figure comes from one artifact; larger is better in all of them."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unisid.artifacts.codes import Codes
from unisid.artifacts.curve import read_curve
from unisid.artifacts.embeddings import Embeddings
from unisid.artifacts.record import Record, require, require_input
from unisid.artifacts.store import NOUNS, Place, Store
from unisid.config import did_you_mean
from unisid.errors import ConfigError
from unisid.evaluation.index import consistency

SEED = 42
"""Of the pairs that `semantic` samples: the same for all trials."""


@dataclass(frozen=True)
class Measure:
    """A figure of a finished artifact."""

    noun: str
    """What it judges."""
    text: str
    """What a reader calls it."""
    curve: tuple[tuple[str, ...], Callable[[float], float]] | None = None
    """The metric that the stage reports each epoch, the first of these that it does, and its conversion to this
    figure."""

    def of_epoch(self, values: Mapping[str, float]) -> float | None:
        """This figure, of what a stage reported of an epoch; None where it did not."""
        names, convert = self.curve or ((), float)
        return next((convert(values[name]) for name in names if name in values), None)


MEASURES: Mapping[str, Measure] = {
    "index": Measure("codes", "index quality"),
    "distinct": Measure("codes", "distinct before resolution", (("valid_collisions",), lambda share: 1.0 - share)),
    "entropy": Measure("codes", "entropy of the levels"),
    "collaborative": Measure("codes", "users shared inside a prefix"),
    "semantic": Measure("codes", "text alike inside a prefix"),
    "ndcg": Measure("model", "validation NDCG@10", (("valid_ndcg_10", "valid_score"), float)),
    "hr": Measure("model", "validation HR@10", (("valid_hr_10",), float)),
}
"""By name; `index` is the mean of the four after it. A recommender reports its NDCG by that name where another figure
is its score."""


def check(names: Sequence[str]) -> None:
    """Raises ConfigError for a measure that there is none of."""
    for name in names:
        if name not in MEASURES:
            raise ConfigError(
                f"objective '{name}': not known{did_you_mean(name, MEASURES)}; known: {', '.join(MEASURES)}"
            )
    if not names:
        raise ConfigError(f"objective: none is given; known: {', '.join(MEASURES)}")
    if len(set(names)) < len(names):
        raise ConfigError(f"objective: {', '.join(names)}; each may be given once")


def last_noun(names: Sequence[str]) -> str:
    """The artifact that the last of the measures judges."""
    return max((MEASURES[name].noun for name in names), key=NOUNS.index)


def of(store: Store, noun: str, place: Place) -> dict[str, float]:
    """Every measure of a complete artifact, by name; nothing where its noun is not judged."""
    if noun == "codes":
        return of_index(store, require(place, noun))
    return of_model(place) if noun == "model" else {}


def of_index(store: Store, record: Record) -> dict[str, float]:
    """The training-free figures of an index."""
    parts = {
        "distinct": record.figure("quality", "distinct_share"),
        "entropy": float(np.mean(record.figures("quality", "entropy"))),
        "collaborative": contrast(record.part("quality", "user_overlap")),
        "semantic": closeness(_text_cosines(store, record)),
    }
    return {"index": float(np.mean(list(parts.values())))} | parts


def of_model(place: Place) -> dict[str, float]:
    """Validation at the best epoch; without `hr` where the curve lacks that epoch, as after a restart."""
    record = require(place, "model")
    rate = _by_epoch(place, "valid_hr_10").get(record.counts.get("best_epoch", 0))
    return {"ndcg": record.figure("valid_ndcg_10")} | ({} if rate is None else {"hr": rate})


def of_making(store: Store, place: Place, name: str) -> list[tuple[int, float]]:
    """(epoch, figure) of a complete artifact while it was made; what is known only at its end has the epoch 1."""
    measure = MEASURES[name]
    names, convert = measure.curve or ((), float)
    for by_epoch in (_by_epoch(place, each) for each in names):
        if by_epoch:
            return [(epoch, convert(value)) for epoch, value in sorted(by_epoch.items())]
    values = of(store, measure.noun, place)
    return [(1, values[name])] if name in values else []


def contrast(means: Mapping[str, Any]) -> float:
    """(w - a) / (w + a), from w within and a across first codes, neither negative; 0 where both are 0."""
    within, across = means.get("within_1"), means.get("across")
    if within is None or across is None or within + across <= 0:
        return 0.0
    return float((within - across) / (within + across))


def closeness(means: Mapping[str, Any]) -> float:
    """(w - a) / (1 - a): how much of the way from a, across first codes, to 1 goes w, within them."""
    within, across = means.get("within_1"), means.get("across")
    if within is None or across is None or across >= 1:
        return 0.0
    return float((within - across) / (1 - across))


def _by_epoch(place: Place, name: str) -> dict[int, float]:
    """Epoch -> what was reported under a name, of the epochs that the curve has: a restart begins another curve."""
    curve = read_curve(place)
    epochs = {step: int(value) for step, column, value in curve if column == "epoch"}
    return {epochs[step]: value for step, column, value in curve if column == name and step in epochs}


def _text_cosines(store: Store, record: Record) -> Mapping[str, Any]:
    """Of pooled text vectors: the recorded cosine is of the fused ones, which a search changes."""
    fused = require(require_input(store, record, "fused"), "fused")
    texts = Embeddings.read(require_input(store, fused, "embeddings")).shards
    codes = Codes(store.root / record.address, record)
    read = functools.partial(texts.read, "pooled")
    found: Mapping[str, Any] = consistency(codes.codes, read, SEED)["cosine"]
    return found
