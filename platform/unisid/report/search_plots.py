"""Plots of a search: what each setting changes, two settings at once, and what is best in two measures.

A configuration is a point of the space; its trials differ by seed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np

from unisid.evaluation.estimates import Configuration, Outcome, configurations, front
from unisid.printable import printable
from unisid.report.charts import Panel, panel
from unisid.report.colors import PALETTE, REST
from unisid.report.plots import Drawing, drawing, rows
from unisid.report.search import short


def plots(trials: Sequence[Outcome], objectives: Sequence[str], texts: Mapping[str, str]) -> dict[str, Drawing]:
    """By file name. `texts` are the measures to draw, by name, with what a reader calls them."""
    found = configurations(trials, list(texts))
    if not any(c.estimates for c in found):
        return {}
    keys = list(trials[0].settings)
    varied = [key for key in keys if len({str(c.settings[key]) for c in found}) > 1] or keys[:1]
    drawings = {}
    if len(varied) == 2:
        drawings["heat-map"] = heat_map(found, varied, texts)
    drawings["sensitivity"] = sensitivity(found, varied, texts)
    if len(objectives) > 1:
        drawings["pareto"] = pareto(found, varied, objectives, texts)
    return drawings


def sensitivity(found: Sequence[Configuration], keys: Sequence[str], texts: Mapping[str, str]) -> Drawing:
    """Each measure over each dimension: dots are trials, the line their mean, the band its 95% interval over seeds.

    With several dimensions the line is the mean over all others, and has no band.
    """
    panels = [_line(found, key, name, text, len(keys) == 1) for key in keys for name, text in texts.items()]
    return drawing(panels, columns=len(texts))


def _line(found: Sequence[Configuration], key: str, name: str, text: str, band: bool) -> Panel:
    known = [(c.settings[key], c.estimates[name]) for c in found if name in c.estimates]
    values = sorted({value for value, _ in known}, key=_order)
    dots = [{"x": _place(value), "y": y} for value, estimate in known for y in estimate.single]
    means, spread = [], []
    for value in values:
        here = [estimate for other, estimate in known if other == value]
        mean = float(np.mean([estimate.mean for estimate in here]))
        means.append({"x": _place(value), "y": mean})
        spread.append({"x": _place(value), "low": mean - here[0].half, "high": mean + here[0].half})
    x = _across([c.settings[key] for c in found]).title(_title(key))
    y = alt.Y("y:Q").title(None).scale(zero=False)
    layers = [alt.Chart(rows(dots)).mark_circle(color=REST, size=22, opacity=1).encode(x=x, y=y)]
    if band and all(np.isfinite(end["low"]) for end in spread):
        area = alt.Chart(rows(spread)).mark_area(color=PALETTE[0], opacity=0.18)
        layers.append(area.encode(x=x, y=alt.Y("low:Q").title(None).scale(zero=False), y2="high:Q"))
    line = alt.Chart(rows(means)).mark_line(color=PALETTE[0], strokeWidth=1.6)
    layers.append(line.encode(x=x, y=y))
    layers.append(alt.Chart(rows(means)).mark_circle(color=PALETTE[0], size=40, opacity=1).encode(x=x, y=y))
    return panel(layers, text)


def heat_map(found: Sequence[Configuration], keys: Sequence[str], texts: Mapping[str, str]) -> Drawing:
    """Each measure over two dimensions, the mean over seeds in every cell."""
    return drawing([_cells(found, keys, name, text) for name, text in texts.items()], len(texts), "independent")


def _cells(found: Sequence[Configuration], keys: Sequence[str], name: str, text: str) -> Panel:
    across, up = ([_label(v) for v in sorted({c.settings[key] for c in found}, key=_order)] for key in keys)
    cells: list[dict[str, Any]] = [
        {"x": _label(c.settings[keys[0]]), "y": _label(c.settings[keys[1]]), "mean": c.estimates[name].mean}
        for c in found
        if name in c.estimates
    ]
    means = [cell["mean"] for cell in cells] or [0.0]
    middle = (min(means) + max(means)) / 2
    for cell in cells:
        cell |= {"text": f"{cell['mean']:.4f}", "ink": "black" if cell["mean"] > middle else "white"}
    base = alt.Chart(rows(cells)).encode(
        x=alt.X("x:O").sort(across).title(_title(keys[0])).axis(labelAngle=0),
        y=alt.Y("y:O").sort(up[::-1]).title(_title(keys[1])),
    )
    color = alt.Color("mean:Q").scale(scheme="viridis").legend(None)
    layers = [
        base.mark_rect().encode(color=color),
        base.mark_text(fontSize=10).encode(text="text:N", color=alt.Color("ink:N").scale(None).legend(None)),
    ]
    return panel(layers, text).resolve_scale(color="independent")


def pareto(
    found: Sequence[Configuration], keys: Sequence[str], objectives: Sequence[str], texts: Mapping[str, str]
) -> Drawing:
    """Each further objective over the first; those that nothing beats in both are joined."""
    panels = [_front(found, keys, objectives[0], other, texts) for other in objectives[1:]]
    return drawing(panels, columns=2)


def _front(
    found: Sequence[Configuration], keys: Sequence[str], first: str, other: str, texts: Mapping[str, str]
) -> Panel:
    whole = [c for c in found if first in c.estimates and other in c.estimates]
    best = front(whole, [first, other])
    points = [
        {
            "x": c.estimates[first].mean,
            "y": c.estimates[other].mean,
            "text": ", ".join(_label(c.settings[key]) for key in keys),
            "best": any(c is b for b in best),
        }
        for c in whole
    ]
    x = alt.X("x:Q").title(texts[first]).scale(zero=False)
    y = alt.Y("y:Q").title(texts[other]).scale(zero=False)
    joined = alt.Chart(rows([point for point in points if point["best"]])).encode(x=x, y=y)
    dots = alt.Chart(rows(points)).encode(x=x, y=y)
    color = alt.condition("datum.best", alt.value(PALETTE[0]), alt.value(REST))
    layers = [
        joined.mark_line(color=PALETTE[0], strokeWidth=1.4).encode(order="x:Q"),
        dots.mark_circle(size=45, opacity=1).encode(color=color),
        dots.mark_text(align="left", dx=5, dy=-5, fontSize=9).encode(text="text:N"),
    ]
    return panel(layers, ", ".join(map(_title, short(keys))))


def _across(values: Sequence[Any]) -> alt.X:
    """The axis of a setting: each value in its place, logarithmic where they are spread wide, in order for words."""
    if not all(_is_number(value) for value in values):
        return alt.X("x:O").sort([_label(v) for v in sorted(set(values), key=_order)]).axis(labelAngle=0)
    places = sorted({float(value) for value in values})
    is_log = places[0] > 0 and places[-1] / places[0] >= 5
    scale = alt.Scale(type="log" if is_log else "linear", zero=False, nice=False, padding=12)
    return alt.X("x:Q").scale(scale).axis(values=places, format="~g", grid=False)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _place(value: Any) -> float | str:
    return float(value) if _is_number(value) else _label(value)


def _order(value: Any) -> tuple[bool, Any]:
    return (False, value) if _is_number(value) else (True, str(value))


def _title(key: str) -> str:
    return short([key])[0].replace("_", " ")


def _label(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else printable(str(value))
