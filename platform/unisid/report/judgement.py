"""A judgement of several systems as plain text: what can be seen, the figures, and who is ahead of whom."""

from collections.abc import Mapping, Sequence
from typing import Any

from unisid.artifacts.metrics import HISTORY_RULES
from unisid.config import Json
from unisid.ops.ranking import metric_names
from unisid.report.tables import advantage, align

SHOWN = (5, 10, 20)
LEVEL = 0.05


def judgement(found: Json) -> str:
    """The judgement for a terminal."""
    names = list(found["seeds"])
    lines = [f"{len(names)} systems, {found['samples']:,} test samples of {found['catalog']}, all items"]
    if found["users"] < found["samples"]:
        lines.append(
            f"of {found['users']:,} users: intervals, tests and power are over users, with all samples of each"
        )
    for rule in HISTORY_RULES:
        part = found["rules"][rule]
        if len(names) > 1:
            lines += ["", f"what can be seen, {found['metric']}, history {rule}", *_power(part, names)]
        lines += ["", _table(part, found["cutoffs"], rule)]
        lines += [_verdict(part, found["metric"], names[0], other) for other in names[1:]]
    return "\n".join(lines)


def _power(part: Json, names: Sequence[str]) -> list[str]:
    rows = [["", "least difference seen", "difference", "users needed", "seeds needed", "between seeds"]]
    for other, each in part["power"].items():
        rows.append(
            [
                f"  {names[0]} - {other}",
                f"{each['detectable']:.4f}",
                f"{each['difference']:.4f}",
                _number(each["users"], "any number is too few"),
                _number(each["seeds"], "unknown: one seed" if each["between_seeds"] is None else "more users first"),
                "-" if each["between_seeds"] is None else f"{each['between_seeds']:.4f}",
            ]
        )
    return [align(rows, right=True)]


def _number(value: int | None, none: str) -> str:
    return none if value is None else f"{value:,}"


def _table(part: Json, cutoffs: Sequence[int], rule: str) -> str:
    shown = [k for k in SHOWN if k in cutoffs] or list(cutoffs)
    names = metric_names(shown)
    rows: list[Sequence[str]] = [[f"history {rule}", *names]]
    rows += [[f"  {name}", *(f"{each[n]['mean']:.4f}" for n in names)] for name, each in part["figures"].items()]
    groups: Mapping[str, Any] = next(iter(part["groups"].values()))
    metric = next(name for name in next(iter(groups.values())) if name.startswith("NDCG"))
    by_group: list[Sequence[str]] = [[f"{metric} by group", "samples", *part["groups"]]]
    by_group += [
        [
            f"  {group}",
            f"{figures['samples']:,.0f}",
            *(f"{each[group][metric]:.4f}" for each in part["groups"].values()),
        ]
        for group, figures in groups.items()
    ]
    return "\n".join([align(rows, right=True), align(by_group, right=True)])


def _verdict(part: Json, metric: str, first: str, other: str) -> str:
    """Who is ahead, where both tests say so after correction."""
    test, permuted = part["comparisons"][other][metric], part["permutation"][other]
    shown = f"{advantage(test, metric)}, after Holm {test['holm']:.2g}, by permutation {permuted:.2g}"
    if max(test["holm"], permuted) < LEVEL:
        return f"{first} is ahead of {other}: {shown}"
    if test["high"] < 0:
        return f"{first} is behind {other}: {shown}"
    return f"{first} is not shown to be ahead of {other}: {shown}"


def certainties(found: Json) -> str:
    """The figures of `evaluation.certainty` as text for a terminal."""
    rows = [
        [
            "beam",
            f"all {found['k']} proven best",
            "first items proven",
            "slack",
            "of the widest beam's items",
            "users/s",
        ]
    ]
    rows += [
        [
            width,
            f"{each['proven']:.1%}",
            f"{each['first']:.2f}",
            "unknown" if each["slack"] is None else f"{each['slack']:.3f}",
            f"{each['found']:.2%}",
            f"{each['per_second']:,.0f}",
        ]
        for width, each in found["widths"].items()
    ]
    return f"{found['users']:,} test users, history excluded\n{align(rows, right=True)}"


def indexes(found: Mapping[str, Json], catalog: str) -> str:
    """The figures of semantic ids side by side, a row a figure, those by level joined by blanks; for a terminal."""
    names = list(dict.fromkeys(name for figures in found.values() for name in figures if name != "predicted"))
    rows: list[Sequence[str]] = [["", *found]]
    rows += [[name, *(_figure(figures.get(name)) for figures in found.values())] for name in names]
    lines = [f"{len(found)} {'index' if len(found) == 1 else 'indexes'} of {catalog}", align(rows, right=True)]
    for name, figures in found.items():
        if "predicted" in figures:
            lines.append(f"{name}: {_prediction(figures['predicted'])}")
    return "\n".join(lines)


def _figure(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return " ".join(map(_figure, value))
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"


def _prediction(guess: Json | None) -> str:
    if guess is None:
        return "no NDCG is predicted: the table has too few indexes with a recommender"
    shown = (
        f"NDCG@10 {guess['value']:.4f} +- {guess['error']:.4f}, by '{guess['figure']}' of {guess['indexes']} indexes"
    )
    if guess["error"] >= guess["by_mean"]:
        return f"{shown}; no better than the mean of the others (+- {guess['by_mean']:.4f}): it says nothing"
    return f"{shown}; the mean of the others: +- {guess['by_mean']:.4f}"
