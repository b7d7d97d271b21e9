"""What an experiment shows: its table as text and Markdown, a forest plot, and lines over its axis."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Drawing

from unisid.evaluation.figures import Comparison, Correlation, Figure, OverCutoffs
from unisid.printable import printable
from unisid.report.colors import INK, PALETTE, REST
from unisid.report.plots import STYLE
from unisid.report.tables import align

SHOWN_CUTOFFS = (5, 10, 20)


@dataclass(frozen=True)
class Results:
    """Under one history rule."""

    figures: Mapping[str, Mapping[str, Figure]]
    """method -> metric."""
    comparisons: Mapping[str, Mapping[str, Comparison]]
    """method -> metric: ours minus it."""
    over_cutoffs: Mapping[str, Mapping[str, OverCutoffs]]
    """method -> HR, NDCG, ALL: the thesis's form."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """All that is shown."""

    title: str
    question: str
    seeds: Mapping[str, Sequence[int]]
    """method -> the seeds of its complete cells, in the order of `Figure.by_seed`."""
    num_samples: int
    cutoffs: Sequence[int]
    ours: str
    rules: Mapping[str, Results]
    """By history rule."""
    printed: Sequence[int] = ()
    """Cut-offs of the printed table; the usual ones where none are given."""
    spread: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """method -> what its lists are like and whom they serve, history excluded, mean over seeds."""
    axis: str = ""
    at: Mapping[str, float]
    """Where methods stand on the axis."""

    @property
    def every_seed(self) -> list[int]:
        """Of any method."""
        return list(dict.fromkeys(seed for own in self.seeds.values() for seed in own))

    @property
    def shown(self) -> list[str]:
        """The metrics of the printed table."""
        cutoffs = [k for k in self.printed or SHOWN_CUTOFFS if k in self.cutoffs] or list(self.cutoffs)
        return [f"{metric}@{k}" for metric in ("HR", "NDCG") for k in cutoffs]

    @property
    def decisive(self) -> str:
        """NDCG@10, or what is nearest to it."""
        return f"NDCG@{min(self.cutoffs, key=lambda k: abs(k - 10))}"


Qualities = Mapping[str, Mapping[str, float]]
"""Index -> figure."""
Correlations = Mapping[str, Correlation]


def text(table: Table, qualities: Qualities, correlations: Correlations) -> str:
    """Everything, for a terminal."""
    parts = [f"{heading}\n{align(rows, right=True)}" for heading, rows in _sections(table, qualities, correlations)]
    return "\n\n".join([f"{table.title}: {table.question}\n{_ground(table)}", *parts])


def markdown(table: Table, qualities: Qualities, correlations: Correlations) -> str:
    """The same as tables of Markdown."""
    parts = [
        f"{heading[0].upper()}{heading[1:]}.\n\n{_rows(rows)}"
        for heading, rows in _sections(table, qualities, correlations)
    ]
    return "\n\n".join([f"# {table.title}\n\n{table.question} {_ground(table)}.", *parts]) + "\n"


def _ground(table: Table) -> str:
    if not table.rules:
        return "no recommender was trained"
    seeds = table.every_seed
    lacking = {method: [str(seed) for seed in seeds if seed not in own] for method, own in table.seeds.items()}
    without = "".join(f"; {method} without {' '.join(some)}" for method, some in lacking.items() if some)
    return f"{table.num_samples:,} test samples, all items ranked, seeds {' '.join(map(str, seeds))}{without}"


def _sections(table: Table, qualities: Qualities, correlations: Correlations) -> Iterator[tuple[str, list[list[str]]]]:
    for rule, results in table.rules.items():
        yield f"history {rule}: mean over seeds, +- deviation of the seeds", _means(table, results)
        heading = f"history {rule}: 95% interval over test samples, and the seeds of {table.decisive}"
        yield heading, _intervals(table, results)
        if results.comparisons:
            heading = f"history {rule}: {table.ours} minus the other, {table.decisive}, paired by test sample"
            yield heading, _tests(table, results)
            heading = (
                f"history {rule}: {table.ours} minus the other in the thesis's form (table 6.2), over the cut-offs "
                f"{', '.join(map(str, table.cutoffs))}; it says nothing of users"
            )
            yield heading, _over_cutoffs(results)
    if table.spread:
        names = list(dict.fromkeys(name for own in table.spread.values() for name in own))
        rows = [["method", *names]]
        rows += [[m, *(_number(own.get(n, np.nan)) for n in names)] for m, own in table.spread.items()]
        yield "history excluded: lists of the recommenders, and HR by how popular the target is", rows
    if qualities:
        yield "indexes, without a recommender", _qualities(qualities)
    if correlations:
        rows = [["figure of an index", "Spearman", "p", "indexes"]]
        rows += [[n, f"{f.correlation:+.2f}", f"{f.p:.2g}", str(f.indexes)] for n, f in correlations.items()]
        yield f"how well each foretells {table.decisive}, history excluded", rows


def plain(table: Table, qualities: Qualities, correlations: Correlations) -> dict[str, Any]:
    """Everything in plain values."""
    rules = {
        rule: {
            "figures": {m: {n: asdict(f) for n, f in each.items()} for m, each in results.figures.items()},
            "comparisons": {m: {n: asdict(c) for n, c in each.items()} for m, each in results.comparisons.items()},
            "thesis, over cut-offs": {
                m: {n: asdict(t) for n, t in each.items()} for m, each in results.over_cutoffs.items()
            },
        }
        for rule, results in table.rules.items()
    }
    heading = {
        "title": table.title,
        "question": table.question,
        "seeds": table.every_seed,
        "ours": table.ours,
        "samples": table.num_samples,
        "cutoffs": list(table.cutoffs),
    }
    told = {name: asdict(each) for name, each in correlations.items()}
    indexes = {
        index: {name: value if np.isfinite(value) else None for name, value in own.items()}
        for index, own in qualities.items()
    }
    lists = {method: dict(own) for method, own in table.spread.items()}
    return heading | {"history": rules, "lists": lists, "indexes": indexes, "foretold": told}


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


@mpl.rc_context(STYLE)
def forest(table: Table, rule: str) -> Drawing:
    """Ours minus each other method, HR and NDCG, with 95% intervals; filled where it does not reach 0."""
    results = table.rules[rule]
    methods = list(results.comparisons)[::-1]
    figure = Drawing(figsize=(8.4, 1.1 + 0.32 * len(methods)), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, metric in zip(axes, (table.decisive.replace("NDCG", "HR"), table.decisive), strict=True):
        for row, method in enumerate(methods):
            c = results.comparisons[method][metric]
            sure = c.low > 0 or c.high < 0
            color = PALETTE[0] if c.low > 0 else PALETTE[3] if c.high < 0 else REST
            axis.plot([c.low, c.high], [row, row], color=color, linewidth=1.6)
            axis.plot(c.test.difference, row, "o", color=color, markerfacecolor=color if sure else "white")
        axis.axvline(0, color=INK, linewidth=0.8)
        axis.set_yticks(range(len(methods)), [printable(method) for method in methods])
        axis.set_title(f"{table.ours} minus the other, {metric}, history {rule}", fontsize=8)
        axis.grid(visible=True, axis="x")
        axis.locator_params(axis="x", nbins=5)
    return figure


@mpl.rc_context(STYLE)
def line(table: Table, rule: str) -> Drawing:
    """HR and NDCG over the experiment's axis: dots are seeds, the line their mean, the band its 95% interval."""
    figure = Drawing(figsize=(7.6, 2.9), layout="constrained")
    methods, results = _along(table, rule), table.rules[rule]
    for axis, metric in zip(figure.subplots(1, 2), ("HR", "NDCG"), strict=True):
        for number, k in enumerate(_drawn_cutoffs(table)):
            cells = [results.figures[name][f"{metric}@{k}"] for name in methods]
            where = [table.at[name] for name in methods]
            axis.plot(where, [c.mean for c in cells], "o-", color=PALETTE[number], markersize=4, label=f"@{k}")
            axis.fill_between(
                where, [c.low for c in cells], [c.high for c in cells], color=PALETTE[number], alpha=0.15, linewidth=0
            )
            for place, cell in zip(where, cells, strict=True):
                axis.plot([place] * len(cell.by_seed), cell.by_seed, ".", color=REST, markersize=4, zorder=1)
        axis.set_title(f"{metric}, history {rule}")
        axis.set_xlabel(table.axis)
        axis.legend()
    return figure


@mpl.rc_context(STYLE)
def bars(table: Table, rule: str) -> Drawing:
    """HR and NDCG side by side for each place on the experiment's axis, with 95% intervals (thesis, figure 6.4)."""
    figure = Drawing(figsize=(7.6, 2.9), layout="constrained")
    methods, results, cutoffs = _along(table, rule), table.rules[rule], _drawn_cutoffs(table)
    width = 0.8 / max(1, len(methods))
    for axis, metric in zip(figure.subplots(1, 2), ("HR", "NDCG"), strict=True):
        for number, method in enumerate(methods):
            cells = [results.figures[method][f"{metric}@{k}"] for k in cutoffs]
            places = np.arange(len(cutoffs)) + (number - (len(methods) - 1) / 2) * width
            reach = np.array([[c.mean - c.low for c in cells], [c.high - c.mean for c in cells]])
            color = PALETTE[number % len(PALETTE)]
            label = f"{table.axis} {table.at[method]:g}"
            axis.bar(places, [c.mean for c in cells], width, color=color, label=label)
            axis.errorbar(
                places, [c.mean for c in cells], yerr=np.maximum(reach, 0), fmt="none", ecolor=INK, elinewidth=0.8
            )
        axis.set_xticks(range(len(cutoffs)), [f"@{k}" for k in cutoffs])
        axis.set_title(f"{metric}, history {rule}")
        axis.grid(visible=False, axis="x")
    axis.legend(fontsize=7)
    return figure


def _along(table: Table, rule: str) -> list[str]:
    """The methods that stand on the axis and have figures, in its order."""
    return [name for name in sorted(table.at, key=lambda name: table.at[name]) if name in table.rules[rule].figures]


def _drawn_cutoffs(table: Table) -> list[int]:
    return [k for k in SHOWN_CUTOFFS if k in table.cutoffs] or list(table.cutoffs)[:2]


@mpl.rc_context(STYLE)
def curves(by_method: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]]) -> Drawing:
    """A panel a figure of the validations, a line a method, over steps."""
    names = list(dict.fromkeys(name for own in by_method.values() for name in own))
    figure = Drawing(figsize=(3.8 * max(1, len(names)), 2.9), layout="constrained")
    for panel, name in zip(figure.subplots(1, max(1, len(names)), squeeze=False)[0], names, strict=False):
        for number, (method, own) in enumerate(by_method.items()):
            if own.get(name):
                steps, values = zip(*own[name], strict=True)
                color = PALETTE[number % len(PALETTE)]
                panel.plot(steps, values, "o-", color=color, markersize=3, label=printable(method))
        panel.set_title(f"validation, {name}")
        panel.set_xlabel("step")
        panel.legend(fontsize=6)
    return figure


@mpl.rc_context(STYLE)
def figures_of_indexes(qualities: Mapping[str, Sequence[Mapping[str, float]]], ours: str) -> Drawing:
    """A panel a figure, a row a method: small dots are seeds, the large one their mean; the line is that of ours."""
    methods, names = list(qualities), list(next(iter(qualities.values()))[0])
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = Drawing(figsize=(2.6 * columns + 1.2, rows * (0.9 + 0.16 * len(methods))), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten()
    for panel, name in zip(panels, names, strict=False):
        for row, method in enumerate(methods[::-1]):
            values = [value for each in qualities[method] if np.isfinite(value := each[name])]
            if not values:
                continue
            color = PALETTE[0] if method == ours else INK
            panel.plot(values, [row] * len(values), ".", color=REST, markersize=4)
            panel.plot(np.mean(values), row, "o", color=color, markersize=5)
            if method == ours:
                panel.axvline(float(np.mean(values)), color=PALETTE[0], linewidth=0.8)
        panel.set_yticks(range(len(methods)), [printable(method) for method in methods[::-1]])
        panel.set_title(name)
        panel.locator_params(axis="x", nbins=4)
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    return figure


def _means(table: Table, results: Results) -> list[list[str]]:
    rows = [["method", *table.shown]]
    for method, figures in results.figures.items():
        rows.append([method, *(_with_deviation(figures[name]) for name in table.shown)])
    return rows


def _with_deviation(figure: Figure) -> str:
    spread = f" +-{figure.deviation:.4f}" if np.isfinite(figure.deviation) else ""
    return f"{figure.mean:.4f}{spread}"


def _intervals(table: Table, results: Results) -> list[list[str]]:
    rows = [["method", *table.shown, "by seed"]]
    for method, figures in results.figures.items():
        ends = (f"{figures[name].low:.4f} to {figures[name].high:.4f}" for name in table.shown)
        rows.append([method, *ends, " ".join(f"{value:.4f}" for value in figures[table.decisive].by_seed)])
    return rows


def _tests(table: Table, results: Results) -> list[list[str]]:
    rows = [["than", "difference", "from", "to", "relative", "one-sided p", "Holm", "Cohen's d"]]
    for method, by_metric in results.comparisons.items():
        c, theirs = by_metric[table.decisive], results.figures[method][table.decisive].mean
        rows.append(
            [
                method,
                f"{c.test.difference:+.4f}",
                f"{c.low:+.4f}",
                f"{c.high:+.4f}",
                _percent(c.test.difference / theirs if theirs else None),
                f"{c.test.p:.2g}",
                f"{c.holm:.2g}",
                f"{c.test.cohens_d:+.3f}",
            ]
        )
    return rows


def _over_cutoffs(results: Results) -> list[list[str]]:
    rows = [["than", "metrics", "difference", "relative", "from", "to", "one-sided p", "Cohen's d"]]
    for method, groups in results.over_cutoffs.items():
        for group, c in groups.items():
            ends = ("-" if end is None else f"{end:+.4f}" for end in (c.low, c.high))
            figures = [f"{c.difference:+.4f}", _percent(c.relative), *ends, f"{c.p:.2g}", f"{c.cohens_d:+.2f}"]
            rows.append([method, group, *figures])
    return rows


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:+.1%}"


def _qualities(qualities: Qualities) -> list[list[str]]:
    names = list(next(iter(qualities.values())))
    rows = [[index, *(_number(each[n]) for n in names)] for index, each in qualities.items()]
    return [["index", *names], *rows]


def _number(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "-"


def _rows(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(map(printable, row)) + " |" for row in rows]
    return "\n".join([lines[0], "| --- " * len(rows[0]) + "|", *lines[1:]])
