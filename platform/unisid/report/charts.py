"""The report's charts as Altair panels: SVG for the page, PNG for trackers, drawn by vl-convert without a browser.

A drawing is a list of panels, so that a page may stack them where it is narrow. An SVG takes its ink and font from the
page, so one drawing serves light and dark; every mark has a description, which the page shows under the pointer.
N items, D width, L levels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import vl_convert
from numpy.typing import NDArray

from unisid import legend
from unisid.artifacts.metrics import HISTORY_RULES
from unisid.ops.semantic_ids import spell, token
from unisid.printable import printable
from unisid.report.colors import INK, PALETTE, REST
from unisid.report.tables import cut

WIDTH, HEIGHT = 300, 150
LEVELS = 6
"""Levels whose use is drawn, at most."""
POINTS = 200
"""Points of a line, at most."""
TICKS = 5
"""Of an axis, about."""
MAP = (620, 420)
"""Width and height of the map of vectors."""
MARGIN = 0.03
"""Beyond the outermost items of the map, whose widest spread is 1."""
LETTER = 11
"""Pixels of the words on the map."""
KEY = "first code: what its items share"
INKED = {"labelColor": INK, "titleColor": INK}
CONFIG = {
    "background": None,
    "font": "sans-serif",
    "padding": {"left": 12, "right": 8, "top": 5, "bottom": 5},
    "axis": INKED
    | {
        "domainColor": REST,
        "gridColor": REST,
        "gridOpacity": 0.3,
        "tickColor": REST,
        "tickCount": TICKS,
        "titleFontWeight": "normal",
    },
    "legend": INKED | {"labelLimit": 270, "symbolOpacity": 1, "titleFontWeight": "normal"},
    "text": {"color": INK},
    "title": {
        "anchor": "start",
        "color": INK,
        "fontSize": 12,
        "fontWeight": "bold",
        "subtitleColor": INK,
        "subtitleFontSize": 11,
    },
    "view": {"stroke": None},
}
DRAWN = ("loss", "valid_score", "valid_recall_20")
"""The reported figures that have a curve: the training loss, and what decides the best epoch."""

Panel = alt.LayerChart
Curves = Mapping[str, Mapping[str, Sequence[tuple[int, float]]]]
"""noun -> name -> (step, value)."""


def learning_curves(curves: Curves, scores: Mapping[str, legend.Figure] | None = None) -> list[Panel]:
    """A panel a stage and quantity over the epochs: the training loss, and what validation goes by, its best marked.

    Args:
        scores: noun -> what its `valid_score` is; of a noun without one, what its stage usually goes by.
    """
    own = scores or {}
    return [
        _curve(f"{noun}: ", legend.figure(noun, name, own.get(noun)), name, points, dict(series.get("epoch", ())))
        for noun, series in curves.items()
        for name, points in series.items()
        if name in DRAWN and len(points) > 1
    ]


def _curve(
    start: str, known: legend.Figure | None, name: str, points: Sequence[tuple[int, float]], epochs: Mapping[int, float]
) -> Panel:
    by_epoch = all(step in epochs for step, _ in points)
    unit, across = (known.unit if known is not None else "") or "loss", "epoch" if by_epoch else "optimizer step"
    rows: list[dict[str, Any]] = [
        {
            "x": epochs[step] if by_epoch else step,
            "y": value,
            "text": f"{across} {epochs.get(step, step):g}: {value:.5g}",
        }
        for step, value in points
    ]
    ticks = max(1, min(TICKS, int(rows[-1]["x"] - rows[0]["x"])))  # at whole epochs
    x = alt.X("x:Q").title(across).scale(zero=False, nice=False).axis(tickCount=ticks, format=",d")
    y = alt.Y("y:Q").title(unit).scale(zero=False)
    base = alt.Chart(alt.Data(values=_thinned(rows))).encode(x=x, y=y, description="text:N")
    layers: list[alt.Chart] = [
        base.mark_line(color=PALETTE[int(name != "loss")], strokeWidth=1.6, aria=False),
        base.mark_point(opacity=0, size=60, filled=True),
    ]
    up = known is not None and known.higher_is_better
    words = "training loss" if name == "loss" else "validation"
    heading = f"{start}{words}, {'higher' if up else 'lower'} is better"
    if name == "loss":
        return panel(layers, heading)
    best = (max if up else min)(rows, key=lambda row: row["y"])
    note = f"best: {across} {best['x']:g}, {best['y']:.4g}"
    marked = alt.Chart(alt.Data(values=[{**best, "words": note}])).encode(x=x, y=y, description="words:N")
    layers.append(marked.mark_point(color=INK, filled=True, size=45))
    return panel(layers, alt.TitleParams(heading, subtitle=note))  # where no line runs


def level_usage(codes: NDArray[Any], sizes: Sequence[int]) -> list[Panel]:
    """How evenly each of the first levels' codes are used: items a code, fullest first; dashed, equal use."""
    panels = []
    for level, size in list(enumerate(sizes))[:LEVELS]:
        counts = np.sort(np.bincount(codes[:, level], minlength=size))[::-1]
        shown = np.unique(np.linspace(0, size - 1, min(size, POINTS)).astype(int)).tolist()
        rows = [{"x": n, "y": int(counts[n]), "text": f"code of rank {n + 1}: {counts[n]:,} items"} for n in shown]
        x = alt.X("x:Q").title("code, fullest first").scale(domain=[-0.5, size - 0.5], nice=False)
        base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=alt.Y("y:Q").title("items"), description="text:N")
        equal = [{"y": len(codes) / size, "text": f"equal use: {len(codes) / size:.4g} items a code"}]
        layers: list[alt.Chart] = [
            base.mark_bar(color=PALETTE[0], opacity=0.75, width=max(1.0, WIDTH / len(shown) - 0.5)),
            alt.Chart(alt.Data(values=equal))
            .mark_rule(color=PALETTE[1], strokeDash=[5, 3], strokeWidth=1.5)
            .encode(y="y:Q", description="text:N"),
        ]
        panels.append(panel(layers, f"level {level + 1}: {int((counts > 0).sum())} of {size} used"))
    return panels


def prefix_map(
    vectors: NDArray[Any], codes: NDArray[Any], titles: Sequence[str], names: Mapping[tuple[int, ...], str]
) -> list[Panel]:
    """The fused vectors on their two widest directions (PCA), coloured by the first code; rarer codes are grey. The
    words of first codes stand in their middles, those of the fullest first, as far as there is room.

    Args:
        titles: of the items, shown with their semantic ids under the pointer.
        names: words for the first codes.
    """
    flat = _flat(vectors)
    found, counts = np.unique(codes[:, 0], return_counts=True)
    every = [int(code) for code in found[np.argsort(-counts, kind="stable")]]
    common = every[: len(PALETTE)]
    label = {code: f"{spell((code,))} {cut(names.get((code,), ''))}".strip() for code in common}
    rows = [
        {"x": x, "y": y, "code": label.get(row[0], "other"), "text": f"{cut(title) or 'no title'} {spell(row)}"}
        for (x, y), row, title in zip(flat.tolist(), map(tuple, codes.tolist()), titles, strict=True)
    ]
    colors = alt.Scale(domain=[*label.values(), "other"], range=[*PALETTE[: len(common)], REST])
    key = alt.Legend(title=KEY, titleLimit=400, orient="bottom", columns=2)
    spans = [(float(low) - MARGIN, float(high) + MARGIN) for low, high in zip(flat.min(0), flat.max(0), strict=True)]
    x, y = (
        alt.X("x:Q", axis=None, scale=alt.Scale(domain=list(spans[0]), nice=False)),
        alt.Y("y:Q", axis=None, scale=alt.Scale(domain=list(spans[1]), nice=False)),
    )
    dots = alt.Chart(alt.Data(values=sorted(rows, key=lambda row: row["code"] != "other"))).encode(
        x=x,
        y=y,
        color=alt.Color("code:N", scale=colors, legend=key),
        description="text:N",
    )
    middles = [
        (cut(names[code,]), *np.median(flat[codes[:, 0] == code], axis=0).tolist())
        for code in every
        if (code,) in names
    ]
    signs = alt.Chart(alt.Data(values=_with_room(middles, spans))).mark_text(
        fontWeight="bold", fontSize=LETTER, aria=False
    )
    signs = signs.encode(x=x, y=y, text="text:N")
    layers: list[alt.Chart] = [dots.mark_circle(size=22, opacity=0.75), signs]
    width, height = MAP
    return [panel(layers, "").properties(width=width, height=height)]


def _with_room(words: Sequence[tuple[str, float, float]], spans: Sequence[tuple[float, float]]) -> list[dict[str, Any]]:
    """Words at their places on the map, the first ones first; one that would lie over another stands a line or two
    above or below, or not at all.

    Args:
        spans: what the map shows of each direction.
    """
    steps = [(high - low) / pixels for (low, high), pixels in zip(spans, MAP, strict=True)]
    line = 1.3 * LETTER * steps[1]
    (left, right), (bottom, top) = spans
    placed: list[dict[str, Any]] = []
    halves: list[float] = []
    for text, x, y in words:
        half = 0.35 * LETTER * len(text) * steps[0]
        across = min(max(x, left + half), right - half)
        for up in (y, y + line, y - line, y + 2 * line, y - 2 * line):
            pairs = zip(placed, halves, strict=True)
            apart = all(abs(across - o["x"]) >= half + its or abs(up - o["y"]) >= line for o, its in pairs)
            if apart and bottom + line / 2 <= up <= top - line / 2:
                placed.append({"x": across, "y": up, "text": text})
                halves.append(half)
                break
    return placed


def key(panels: Sequence[Panel]) -> list[tuple[str, str]]:
    """The colours of a drawing's marks and what they stand for."""
    scale = panels[0].to_dict(validate=False)["layer"][0]["encoding"]["color"]["scale"]
    return list(zip(scale["range"], scale["domain"], strict=True))


def rows_map(first: NDArray[Any], last: NDArray[Any], sizes: Sequence[int]) -> list[Panel]:
    """The new tokens' rows before training and after, on the two widest directions of both together (PCA), by level.

    Args:
        first, last: [M, D], level after level.
    """
    flat = _flat(np.concatenate([first, last]))
    levels = np.repeat(np.arange(len(sizes)), sizes)
    named = [f"level {level + 1}" for level in range(len(sizes))]
    colors = alt.Scale(domain=named, range=[PALETTE[level % len(PALETTE)] for level in range(len(sizes))])
    panels = []
    for title, places in (("before training", flat[: len(first)]), ("after", flat[len(first) :])):
        starts = np.cumsum([0, *sizes])
        rows = [
            {"x": x, "y": y, "level": named[level], "text": token(int(level), number - int(starts[level]))}
            for number, ((x, y), level) in enumerate(zip(places.tolist(), levels, strict=True))
        ]
        axis: dict[str, Any] = {"axis": None, "scale": alt.Scale(domain=[-1, 1])}
        dots = alt.Chart(alt.Data(values=rows)).mark_circle(size=18, opacity=0.7)
        dots = dots.encode(
            x=alt.X("x:Q", **axis),
            y=alt.Y("y:Q", **axis),
            color=alt.Color("level:N", scale=colors, legend=alt.Legend(title=None, orient="bottom")),
            description="text:N",
        )
        panels.append(panel([dots], title).properties(width=300, height=300))
    return panels


def _flat(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Vectors on their two widest directions, [N, 2], to four digits of the widest spread."""
    centred = vectors.astype(np.float64) - vectors.mean(0)
    _, directions = np.linalg.eigh(centred.T @ centred)  # by growing spread
    flat = centred @ directions[:, ::-1][:, :2]
    flat = np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))
    return (flat / (np.abs(flat).max(initial=0) or 1)).round(4)


def metric_bars(means: Mapping[str, Any], methods: Sequence[str], cutoff: int) -> list[Panel]:
    """HR and NDCG at a cut-off by method, with their 95% intervals; a panel a metric and history rule."""
    return [_bars(f"{metric}@{cutoff}", rule, means, methods) for rule in HISTORY_RULES for metric in ("HR", "NDCG")]


def _bars(metric: str, rule: str, means: Mapping[str, Any], methods: Sequence[str]) -> Panel:
    rows = []
    for method in methods:
        cell = means[method][rule][metric]
        spread = {end: min(max(cell[end], 0.0), 1.0) for end in ("low", "high")}
        name = printable(method)
        words = f"{name}: {cell['mean']:.4f}, 95% interval {cell['low']:.4f} to {cell['high']:.4f}"
        rows.append({"method": name, "mean": cell["mean"], **spread, "text": words})
        rows[-1]["color"] = REST if len(rows) > 1 else PALETTE[0]
    order = [row["method"] for row in rows]
    y = alt.Y("method:N").sort(order).title(None).axis(labelLimit=150)
    base = alt.Chart(alt.Data(values=rows)).encode(y=y, description="text:N")
    color = alt.Color("color:N").scale(None).legend(None)
    layers: list[alt.Chart] = [
        base.mark_bar(height={"band": 0.7}).encode(x=alt.X("mean:Q").title(metric), color=color),
        base.mark_rule(color=INK).encode(x=alt.X("low:Q").title(metric), x2="high:Q"),
    ]
    return panel(layers, f"{metric}, history {rule}").properties(height=24 * len(rows) + 10)


def activity_bars(lengths: Mapping[str, int]) -> list[Panel]:
    """How many users have how many interactions."""
    rows = [{"x": span, "y": users, "text": f"{span} interactions: {users:,} users"} for span, users in lengths.items()]
    x = alt.X("x:N").sort(list(lengths)).title("interactions of a user").axis(labelAngle=0, labelOverlap=True)
    bars = alt.Chart(alt.Data(values=rows)).mark_bar(color=PALETTE[0])
    return [panel([bars.encode(x=x, y=alt.Y("y:Q").title("users"), description="text:N")], "how long histories are")]


def png(panels: Sequence[Panel]) -> bytes:
    """All panels in one picture, on white."""
    whole = alt.concat(*panels, columns=3 if len(panels) > 4 else 2).resolve_scale(color="independent")
    return picture(whole)


def picture(chart: alt.LayerChart | alt.ConcatChart) -> bytes:
    """A chart as PNG, on white."""
    return vl_convert.vegalite_to_png(_spec(chart) | {"background": "white"}, scale=2)


def svgs(panels: Sequence[Panel], legend: bool = True) -> list[str]:
    """Each panel to stand inside a page: transparent, in the page's own ink and font.

    Args:
        legend: whether the colours are explained in the picture; else the page shows `key` beside it.
    """
    found = [_spec(panel) for panel in panels]
    for spec in found if not legend else ():
        for layer in spec["layer"]:
            layer["encoding"].get("color", {})["legend"] = None
    return [
        vl_convert.vegalite_to_svg(spec).replace(INK, "currentColor").replace('"sans-serif"', '"inherit"')
        for spec in found
    ]


def _spec(chart: alt.LayerChart | alt.ConcatChart) -> dict[str, Any]:
    spec: dict[str, Any] = chart.to_dict(validate=False)
    return spec | {"config": CONFIG}


def panel(layers: Sequence[alt.Chart], title: str | alt.TitleParams) -> Panel:
    """Layers over one another under a title."""
    layered = alt.layer(*layers)
    assert isinstance(layered, alt.LayerChart)
    return layered.properties(width=WIDTH, height=HEIGHT, title=title)


def _thinned(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most `POINTS` of the rows, the first and the last among them."""
    places = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), POINTS)).astype(int))
    return [rows[place] for place in places.tolist()]
