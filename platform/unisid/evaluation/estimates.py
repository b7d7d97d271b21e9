"""What became of trials: configurations with their means over seeds, those that nothing beats, and the best.

A configuration is a point of the space; its trials differ by seed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy import stats

State = Literal["complete", "stopped", "failed"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A trial that is over."""

    id: str
    settings: Mapping[str, Any]
    seed: int | None
    state: State
    """stopped: early, for others were better; failed: `note` says why."""
    fingerprint: str
    """Of the artifact that it was to make: another recipe's outcome is not this one's."""
    values: dict[str, float] = field(default_factory=dict)
    """Every measure of the artifacts that it completed."""
    seconds: float = 0.0
    """Spent on what this trial did not share, as the artifacts' records say."""
    note: str = ""


@dataclass(frozen=True)
class Estimate:
    """A configuration's mean of one measure over its seeds."""

    mean: float
    half: float
    """Of its 95% interval; NaN where no configuration has two seeds."""
    single: tuple[float, ...]
    """By seed."""


@dataclass(frozen=True)
class Configuration:
    """A point of the space, and what came of it."""

    settings: Mapping[str, Any]
    estimates: Mapping[str, Estimate]
    """By measure; only of trials that were completed."""
    trials: tuple[Outcome, ...]


def configurations(trials: Sequence[Outcome], names: Sequence[str]) -> list[Configuration]:
    """Trials by their settings, in order; the interval's spread is pooled over all configurations.

    mean +- t_(.975, d) s / sqrt(n), s^2 = sum (x - its configuration's mean)^2 / d, d = trials - configurations.
    """
    groups: dict[str, list[Outcome]] = {}
    for trial in trials:
        groups.setdefault(json.dumps(dict(trial.settings), sort_keys=True), []).append(trial)
    single = {
        name: {
            key: [t.values[name] for t in group if t.state == "complete" and name in t.values]
            for key, group in groups.items()
        }
        for name in names
    }
    spread = {name: _spread(list(values.values())) for name, values in single.items()}
    return [
        Configuration(
            group[0].settings,
            {name: _estimate(single[name][key], spread[name]) for name in names if single[name][key]},
            tuple(group),
        )
        for key, group in groups.items()
    ]


def _spread(groups: Sequence[Sequence[float]]) -> float:
    """t times the pooled standard deviation; NaN without any repeat."""
    freedom = sum(len(group) - 1 for group in groups if group)
    if freedom < 1:
        return float("nan")
    squares = sum(float(np.square(np.array(group) - np.mean(group)).sum()) for group in groups if group)
    return float(stats.t.ppf(0.975, freedom)) * float(np.sqrt(squares / freedom))


def _estimate(values: Sequence[float], spread: float) -> Estimate:
    return Estimate(float(np.mean(values)), spread / float(np.sqrt(len(values))), tuple(values))


def front(found: Sequence[Configuration], names: Sequence[str]) -> list[Configuration]:
    """Those that no other configuration beats: at least equal in every measure and better in one."""
    whole = [c for c in found if all(name in c.estimates for name in names)]
    points = np.array([[c.estimates[name].mean for name in names] for c in whole]).reshape(len(whole), len(names))
    beaten = [((points >= p).all(1) & (points > p).any(1)).any() for p in points]
    return [c for c, lost in zip(whole, beaten, strict=True) if not lost]


def best(trials: Sequence[Outcome], measure: str) -> Outcome | None:
    """Of the configuration with the best mean by a measure, the first completed trial; None without any."""
    known = [c for c in configurations(trials, [measure]) if measure in c.estimates]
    if not known:
        return None
    first = max(known, key=lambda c: c.estimates[measure].mean)
    return next(trial for trial in trials if trial.state == "complete" and trial.settings == first.settings)
