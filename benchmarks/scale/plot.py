"""Log-log slopes of what was measured, and their plot."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

MEASURES = {"seconds": "seconds", "peak_mib": "peak memory, MiB", "disk_mib": "disk, MiB", "requests": "requests"}
Figures = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""What was measured -> number of items -> its figures."""


def slopes(figures: Figures) -> dict[str, dict[str, float]]:
    """By name and measure: the exponent between the two largest sizes; memory beyond what a process has at first."""
    found: dict[str, dict[str, float]] = {}
    for name, by_size in figures.items():
        for measure in MEASURES:
            points = sorted((int(size), _grown(each, measure)) for size, each in by_size.items() if measure in each)
            points = [(size, value) for size, value in points if value > 0]
            if len(points) > 1:
                (small, low), (large, high) = points[-2:]
                found.setdefault(name, {})[measure] = round(math.log(high / low) / math.log(large / small), 2)
    return found


def _value(figures: Mapping[str, Any], measure: str) -> float:
    """Seconds are of the processor where both are known: others may have been at work."""
    found = figures.get("cpu_seconds", figures.get("seconds")) if measure == "seconds" else figures.get(measure)
    return float(found or 0)


def _grown(figures: Mapping[str, Any], measure: str) -> float:
    return _value(figures, measure) - (float(figures["before_mib"]) if measure == "peak_mib" else 0.0)


def write_plot(figures: Figures, path: Path) -> None:
    """A panel a measure, a line a stage; both axes in powers of ten, with a line of slope 1."""
    panels = []
    for measure, title in MEASURES.items():
        rows = [
            (int(size), _value(each, measure), name)
            for name, by_size in figures.items()
            for size, each in by_size.items()
            if _value(each, measure) > 0
        ]
        if not rows:
            continue
        (fewest, least, _), most = min(rows), max(rows)[0]
        drawn = [dict(zip(("items", "value", "what"), row, strict=True)) for row in rows]
        even = [{"items": end, "value": least * end / fewest} for end in (fewest, most)]
        x = alt.X("items:Q").scale(type="log").title("items")
        y = alt.Y("value:Q").scale(type="log").title(title)
        lines = alt.Chart(alt.Data(values=drawn)).mark_line(point=True).encode(x=x, y=y, color="what:N")
        rule = alt.Chart(alt.Data(values=even)).mark_line(strokeDash=[4, 4], color="gray").encode(x=x, y=y)
        panels.append(alt.layer(rule, lines).properties(width=320, height=260))
    whole = alt.concat(*panels, columns=2).to_dict(validate=False)
    path.write_bytes(vl_convert.vegalite_to_png(whole | {"background": "white"}, scale=2))
