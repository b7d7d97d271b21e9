"""What a search found: means over seeds with their intervals, a table, and plots of sensitivity and of the front.

A configuration is a point of the space; its trials differ by seed. G configurations, M measures.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unisid.evaluation.estimates import Configuration, Estimate, Outcome, configurations, front
from unisid.printable import printable
from unisid.report.colors import PALETTE, REST
from unisid.report.plots import STYLE
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


def plots(trials: Sequence[Outcome], objectives: Sequence[str], texts: Mapping[str, str]) -> dict[str, Figure]:
    """By file name. `texts` are the measures to draw, by name, with what a reader calls them."""
    found = configurations(trials, list(texts))
    if not any(c.estimates for c in found):
        return {}
    keys = list(trials[0].settings)
    varied = [key for key in keys if len({str(c.settings[key]) for c in found}) > 1] or keys[:1]
    figures = {}
    if len(varied) == 2:
        figures["heat-map"] = heat_map(found, varied, texts)
    figures["sensitivity"] = sensitivity(found, varied, texts)
    if len(objectives) > 1:
        figures["pareto"] = pareto(found, varied, objectives, texts)
    return figures


@mpl.rc_context(STYLE)
def sensitivity(found: Sequence[Configuration], keys: Sequence[str], texts: Mapping[str, str]) -> Figure:
    """Each measure over each dimension: dots are trials, the line their mean, the band its 95% interval over seeds.

    With several dimensions the line is the mean over all others, and has no band.
    """
    figure, axes = _panels(len(keys), len(texts))
    for row, key in enumerate(keys):
        places, labels, log = _scale([c.settings[key] for c in found])
        for axis, (name, text) in zip(axes[row], texts.items(), strict=True):
            _line(axis, found, places, name, band=len(keys) == 1)
            axis.set_title(text)
            axis.set_xlabel(short([key])[0].replace("_", " "))
            if log:
                axis.set_xscale("log")
            axis.set_xticks(sorted(set(places)), [labels[place] for place in sorted(set(places))])
            axis.minorticks_off()
    return figure


def _line(axis: Any, found: Sequence[Configuration], places: Sequence[float], name: str, *, band: bool) -> None:
    known = [(place, c.estimates[name]) for place, c in zip(places, found, strict=True) if name in c.estimates]
    for place, estimate in known:
        axis.plot([place] * len(estimate.single), estimate.single, "o", color=REST, markersize=3, zorder=1)
    where = sorted({place for place, _ in known})
    means = np.array([np.mean([e.mean for p, e in known if p == place]) for place in where])
    axis.plot(where, means, "o-", color=PALETTE[0], linewidth=1.6, markersize=4, zorder=3)
    half = np.array([next(e.half for p, e in known if p == place) for place in where])
    if band and np.isfinite(half).all():
        axis.fill_between(where, means - half, means + half, color=PALETTE[0], alpha=0.18, linewidth=0, zorder=2)


@mpl.rc_context(STYLE)
def heat_map(found: Sequence[Configuration], keys: Sequence[str], texts: Mapping[str, str]) -> Figure:
    """Each measure over two dimensions, the mean over seeds in every cell."""
    figure, axes = _panels(1, len(texts))
    across, up = (sorted({c.settings[key] for c in found}, key=_order) for key in keys)
    for axis, (name, text) in zip(axes[0], texts.items(), strict=True):
        cells = np.full((len(up), len(across)), np.nan)
        for c in found:
            if name in c.estimates:
                cells[up.index(c.settings[keys[1]]), across.index(c.settings[keys[0]])] = c.estimates[name].mean
        axis.imshow(cells, origin="lower", aspect="auto", cmap="viridis")
        _write(axis, cells)
        axis.set_title(text)
        axis.set_xticks(range(len(across)), [_label(v) for v in across])
        axis.set_yticks(range(len(up)), [_label(v) for v in up])
        names = [key.replace("_", " ") for key in short(keys)]
        axis.set(xlabel=names[0], ylabel=names[1])
        axis.grid(visible=False)
    return figure


def _write(axis: Any, cells: NDArray[np.float64]) -> None:
    """The figures into a heat map's cells."""
    middle = (np.nanmin(cells) + np.nanmax(cells)) / 2 if np.isfinite(cells).any() else 0.0
    for (row, column), value in np.ndenumerate(cells):
        if np.isfinite(value):
            ink = "black" if value > middle else "white"
            axis.text(column, row, f"{value:.4f}", ha="center", va="center", color=ink, fontsize=8)


@mpl.rc_context(STYLE)
def pareto(
    found: Sequence[Configuration], keys: Sequence[str], objectives: Sequence[str], texts: Mapping[str, str]
) -> Figure:
    """Each further objective over the first; those that nothing beats in both are joined."""
    figure, axes = _panels(1, len(objectives) - 1)
    first = objectives[0]
    for axis, other in zip(axes[0], objectives[1:], strict=True):
        whole = [c for c in found if first in c.estimates and other in c.estimates]
        best = sorted(front(whole, [first, other]), key=lambda c: c.estimates[first].mean)
        axis.plot(
            [c.estimates[first].mean for c in best],
            [c.estimates[other].mean for c in best],
            "o-",
            color=PALETTE[0],
            linewidth=1.4,
            zorder=2,
        )
        for c in whole:
            point = c.estimates[first].mean, c.estimates[other].mean
            axis.plot(*point, "o", color=PALETTE[0] if any(c is b for b in best) else REST, zorder=3)
            axis.annotate(
                ", ".join(_label(c.settings[key]) for key in keys),
                point,
                xytext=(4, 4),
                textcoords="offset points",
                fontsize=7,
            )
        axis.set(xlabel=texts[first], ylabel=texts[other])
        axis.locator_params(nbins=5)
        axis.set_title(", ".join(key.replace("_", " ") for key in short(keys)))
    return figure


def short(keys: Sequence[str]) -> list[str]:
    """The last word of each key, with as many before it as make the keys distinct."""
    for words in range(1, 10):
        names = [".".join(key.split(".")[-words:]) for key in keys]
        if len(set(names)) == len(keys):
            return names
    return list(keys)


def _scale(values: Sequence[Any]) -> tuple[list[float], dict[float, str], bool]:
    """Where values stand on an axis, what is written there, and whether the axis is logarithmic."""
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    if not numbers:
        names = sorted({str(v) for v in values})
        labels = {float(number): printable(name) for number, name in enumerate(names)}
        return [float(names.index(str(v))) for v in values], labels, False
    places = [float(v) for v in values]
    log = min(places) > 0 and max(places) / min(places) >= 5
    return places, {float(v): _label(v) for v in values}, log


def _order(value: Any) -> tuple[bool, Any]:
    return (True, str(value)) if not isinstance(value, (int, float)) else (False, value)


def _label(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else printable(str(value))


def _panels(rows: int, columns: int) -> tuple[Figure, NDArray[Any]]:
    figure = Figure(figsize=(columns * 3.6, rows * 2.7), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)
