"""What a search found: means over seeds with their intervals, as a table and as a CSV file.

A configuration is a point of the space; its trials differ by seed. G configurations, M measures.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from unisid.evaluation.estimates import Estimate, Outcome, configurations, front
from unisid.report.tables import align, comma_separated


def table(trials: Sequence[Outcome], objectives: Sequence[str], names: Sequence[str]) -> str:
    """Configurations, best first by the first objective; '*' marks the front of several objectives."""
    found = configurations(trials, names)
    best = front(found, objectives) if len(objectives) > 1 else []
    found.sort(key=lambda c: -c.estimates[objectives[0]].mean if objectives[0] in c.estimates else np.inf)
    keys = list(trials[0].settings)
    rows: list[Sequence[str]] = [[*short(keys), "seeds", *names, ""]]
    for configuration in found:
        done = sum(t.state == "complete" for t in configuration.trials)
        cells = [_cell(configuration.estimates.get(name)) for name in names]
        rest = [
            f"{t.state}{f' {t.note}' if t.state == 'stopped' else ''}"
            for t in configuration.trials
            if t.state != "complete"
        ]
        mark = ["*"] if any(configuration is b for b in best) else []
        rows.append([*(str(configuration.settings[key]) for key in keys), str(done), *cells, ", ".join(mark + rest)])
    return align(rows)


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    return f"{estimate.mean:.4f}" + (f" +-{estimate.half:.4f}" if np.isfinite(estimate.half) else "")


def rows(trials: Sequence[Outcome], names: Sequence[str]) -> bytes:
    """Every trial, a row of a CSV file."""
    keys = list(trials[0].settings)
    found: list[Sequence[Any]] = [[*keys, "seed", "state", *names, "note"]]
    for trial in trials:
        seed = "" if trial.seed is None else trial.seed
        values = [trial.values.get(name, "") for name in names]
        found.append([*(trial.settings[key] for key in keys), seed, trial.state, *values, trial.note])
    return comma_separated(found)


def short(keys: Sequence[str]) -> list[str]:
    """The last word of each key, with as many before it as make the keys distinct."""
    for words in range(1, 10):
        names = [".".join(key.split(".")[-words:]) for key in keys]
        if len(set(names)) == len(keys):
            return names
    return list(keys)
