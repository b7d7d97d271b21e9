"""Plots of an experiment: differences with their intervals, metrics over its axis, figures of its indexes."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np

from unisid.printable import printable
from unisid.report.charts import Panel, panel
from unisid.report.colors import INK, PALETTE, REST
from unisid.report.experiment import SHOWN_CUTOFFS, Table
from unisid.report.plots import Drawing, drawing, rows


def plots(table: Table) -> dict[str, Drawing]:
    """By file name, for each history rule; what is allowed to be ranked again is in the name where it is."""
    found: dict[str, Drawing] = {}
    for rule, results in table.rules.items():
        suffix = "" if rule == "excluded" else f"-{rule}"
        if results.comparisons:
            found[f"forest{suffix}"] = forest(table, rule)
        if table.axis and len(table.at) > 1:
            found[f"line{suffix}"] = line(table, rule)
            found[f"bars{suffix}"] = bars(table, rule)
    return found


def forest(table: Table, rule: str) -> Drawing:
    """Ours minus each other method, HR and NDCG, with 95% intervals; filled where it does not reach 0."""
    metrics = (table.decisive.replace("NDCG", "HR"), table.decisive)
    return drawing([_differences(table, rule, metric) for metric in metrics], columns=2)


def _differences(table: Table, rule: str, metric: str) -> Panel:
    found = []
    for method, by_metric in table.rules[rule].comparisons.items():
        c = by_metric[metric]
        color = PALETTE[0] if c.low > 0 else PALETTE[3] if c.high < 0 else REST
        found.append(
            {
                "method": printable(method),
                "difference": c.test.difference,
                "low": c.low,
                "high": c.high,
                "color": color,
                "fill": color if c.low > 0 or c.high < 0 else "white",
            }
        )
    y = (
        alt.Y("method:N")
        .sort([printable(method) for method in table.rules[rule].comparisons])
        .title(None)
        .axis(labelLimit=200)
    )
    base = alt.Chart(rows(found)).encode(y=y, color=alt.Color("color:N").scale(None).legend(None))
    zero = alt.Chart(rows([{"x": 0}])).mark_rule(color=INK, strokeWidth=0.8).encode(x=alt.X("x:Q").title(None))
    layers = [
        zero,
        base.mark_rule(strokeWidth=1.6).encode(x=alt.X("low:Q").title(None), x2="high:Q"),
        base.mark_point(size=45, opacity=1).encode(
            x=alt.X("difference:Q").title(None), fill=alt.Fill("fill:N").scale(None).legend(None)
        ),
    ]
    title = f"{table.ours} minus the other, {metric}, history {rule}"
    return panel(layers, title).properties(height=24 * len(found) + 10)


def line(table: Table, rule: str) -> Drawing:
    """HR and NDCG over the experiment's axis: dots are seeds, the line their mean, the band its 95% interval."""
    return drawing([_over_axis(table, rule, metric) for metric in ("HR", "NDCG")], columns=2)


def _over_axis(table: Table, rule: str, metric: str) -> Panel:
    means = _means(table, rule, metric)
    results = table.rules[rule]
    seeds = [
        {"x": table.at[name], "y": float(value)}
        for k in _drawn_cutoffs(table)
        for name in _along(table, rule)
        for value in results.figures[name][f"{metric}@{k}"].by_seed
    ]
    domain = [f"@{k}" for k in _drawn_cutoffs(table)]
    color = alt.Color("k:N").scale(domain=domain, range=PALETTE[: len(domain)]).title(None)
    x = alt.X("x:Q").title(table.axis).scale(zero=False, nice=False, padding=12)
    base = alt.Chart(rows(means)).encode(x=x, color=color)
    y = alt.Y("y:Q").title(None).scale(zero=False)
    layers = [
        alt.Chart(rows(seeds)).mark_circle(color=REST, size=15, opacity=1).encode(x=x, y=y),
        base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q").title(None).scale(zero=False), y2="high:Q"),
        base.mark_line().encode(y=y),
        base.mark_circle(size=40, opacity=1).encode(y=y),
    ]
    return panel(layers, f"{metric}, history {rule}")


def bars(table: Table, rule: str) -> Drawing:
    """HR and NDCG side by side for each place on the experiment's axis, with 95% intervals (thesis, figure 6.4)."""
    return drawing([_beside(table, rule, metric) for metric in ("HR", "NDCG")], columns=2)


def _beside(table: Table, rule: str, metric: str) -> Panel:
    places = [f"{table.axis} {table.at[name]:g}" for name in _along(table, rule)]
    colors = [PALETTE[number % len(PALETTE)] for number in range(len(places))]
    means = [row | {"place": f"{table.axis} {row['x']:g}"} for row in _means(table, rule, metric)]
    x = alt.X("k:N").sort([f"@{k}" for k in _drawn_cutoffs(table)]).title(None).axis(labelAngle=0)
    offset = alt.XOffset("place:N").sort(places)
    base = alt.Chart(rows(means)).encode(x=x, xOffset=offset)
    color = alt.Color("place:N", scale=alt.Scale(domain=places, range=colors)).title(None)
    layers = [
        base.mark_bar().encode(y=alt.Y("y:Q").title(None), color=color),
        base.mark_rule(color=INK, strokeWidth=0.8).encode(y=alt.Y("low:Q").title(None), y2="high:Q"),
    ]
    return panel(layers, f"{metric}, history {rule}")


def _means(table: Table, rule: str, metric: str) -> list[dict[str, Any]]:
    """A row a cut-off and method on the axis: where it stands, its mean and its interval."""
    cells = [
        (k, table.at[name], table.rules[rule].figures[name][f"{metric}@{k}"])
        for k in _drawn_cutoffs(table)
        for name in _along(table, rule)
    ]
    return [{"x": x, "y": c.mean, "low": c.low, "high": c.high, "k": f"@{k}"} for k, x, c in cells]


def _along(table: Table, rule: str) -> list[str]:
    """The methods that stand on the axis and have figures, in its order."""
    return [name for name in sorted(table.at, key=lambda name: table.at[name]) if name in table.rules[rule].figures]


def _drawn_cutoffs(table: Table) -> list[int]:
    return [k for k in SHOWN_CUTOFFS if k in table.cutoffs] or list(table.cutoffs)[:2]


def figures_of_indexes(qualities: Mapping[str, Sequence[Mapping[str, float]]], ours: str) -> Drawing:
    """A panel a figure, a row a method: small dots are seeds, the large one their mean; the line is that of ours."""
    names = list(next(iter(qualities.values()))[0])
    return drawing([_figure(qualities, name, ours) for name in names], columns=min(4, len(names)))


def _figure(qualities: Mapping[str, Sequence[Mapping[str, float]]], name: str, ours: str) -> Panel:
    seeds, means = [], []
    for method, each in qualities.items():
        values = [value for one in each if np.isfinite(value := one[name])]
        seeds += [{"method": printable(method), "x": value} for value in values]
        if values:
            color = PALETTE[0] if method == ours else INK
            means.append({"method": printable(method), "x": float(np.mean(values)), "color": color})
    y = alt.Y("method:N").sort([printable(method) for method in qualities]).title(None).axis(labelLimit=150)
    x = alt.X("x:Q").title(None).scale(zero=False).axis(tickCount=4)
    own = [row for row in means if row["color"] == PALETTE[0]]
    layers = [
        alt.Chart(rows(own)).mark_rule(color=PALETTE[0], strokeWidth=0.8).encode(x=x),
        alt.Chart(rows(seeds)).mark_circle(color=REST, size=15, opacity=1).encode(x=x, y=y),
        alt.Chart(rows(means))
        .mark_circle(size=45, opacity=1)
        .encode(x=x, y=y, color=alt.Color("color:N").scale(None).legend(None)),
    ]
    return panel(layers, name).properties(width=150, height=16 * len(qualities) + 20)


def curves(by_method: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]]) -> Drawing:
    """A panel a figure of the validations, a line a method, over steps."""
    names = list(dict.fromkeys(name for own in by_method.values() for name in own))
    return drawing([_learned(by_method, name) for name in names], columns=max(1, len(names)))


def _learned(by_method: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]], name: str) -> Panel:
    methods = [printable(method) for method in by_method]
    colors = [PALETTE[number % len(PALETTE)] for number in range(len(methods))]
    points = [
        {"x": step, "y": value, "method": printable(method)}
        for method, own in by_method.items()
        for step, value in own.get(name, ())
    ]
    base = alt.Chart(rows(points)).encode(
        x=alt.X("x:Q").title("step").scale(zero=False, nice=False),
        y=alt.Y("y:Q").title(None).scale(zero=False),
        color=alt.Color("method:N", scale=alt.Scale(domain=methods, range=colors)).title(None),
    )
    return panel([base.mark_line(), base.mark_circle(size=20, opacity=1)], f"validation, {name}")
