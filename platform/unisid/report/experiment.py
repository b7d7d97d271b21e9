"""What an experiment shows: its tables, as text and as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from unisid.evaluation.figures import Comparison, Correlation, Figure, OverCutoffs
from unisid.ops.ranking import MEASURES
from unisid.printable import printable
from unisid.report.tables import MAP, align

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
        return [f"{metric}@{k}" for metric in MEASURES for k in cutoffs]

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
        yield f"history {rule}: mean over seeds, +- deviation of the seeds; {MAP}", _means(table, results)
        heading = f"history {rule}: 95% interval over users, and the seeds of {table.decisive}"
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
        yield "history excluded: lists of the methods, and HR by how popular the target is", rows
    if qualities:
        yield "indexes, without a recommender", _qualities(qualities)
    if correlations:
        rows = [["figure of an index", "Spearman", "p", "indexes"]]
        rows += [[n, f"{f.correlation:+.2f}", f"{f.p:.2g}", str(f.indexes)] for n, f in correlations.items()]
        yield f"how well each predicts {table.decisive}, history excluded", rows


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
    predicted = {name: asdict(each) for name, each in correlations.items()}
    indexes = {
        index: {name: value if np.isfinite(value) else None for name, value in own.items()}
        for index, own in qualities.items()
    }
    lists = {method: dict(own) for method, own in table.spread.items()}
    return heading | {"history": rules, "lists": lists, "indexes": indexes, "foretold": predicted}


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
