"""Results and plans as plain text, for terminals and logs."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from unisid.artifacts.metrics import HISTORY_RULES
from unisid.artifacts.roles import noun_of
from unisid.artifacts.store import NOUNS, Place
from unisid.evaluation.next_items import PLACES
from unisid.expected import Expected, Span
from unisid.footprint import memory
from unisid.ops.semantic_ids import spell
from unisid.planned import Planned
from unisid.printable import printable
from unisid.report import facts

SHOWN_CUTOFFS = (5, 10, 20)
GROUPED = ("NDCG", "HR", "MRR")
"""The figures by group of samples, in the order of their tables."""
LISTS = {
    "coverage": ("coverage", "{:.3f}"),
    "gini": ("Gini", "{:.3f}"),
    "novelty": ("novelty, bits", "{:.2f}"),
    "likeness": ("likeness within a list", "{:.3f}"),
}
"""The figures of lists: how they are called, and how many digits they have."""
OF_INDEX = {
    "gini": "Gini of items by id before resolution {:.3f}",
    "embedding_hit_rate": f"next item among the {PLACES} nearest vectors {{:.1%}}",
}
"""FORGE's figures of an index, which older ones lack."""
MAP = "with one target a sample, MAP is MRR"
TITLES_READ = 1 << 16
LETTERS = 160
"""Letters of a title in a report, at most."""
MARKS = {"complete": "+", "shared": "=", "half made": "~", "to make": "-", "drift": "!"}


def comma_separated(rows: Iterable[Iterable[Any]]) -> bytes:
    """Rows of values as a CSV file."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()


def plan_tree(entries: Sequence[Planned], expected: Mapping[str, Expected] | None = None) -> str:
    """A plan as a tree: what exists and what would run, each artifact with its inputs.

    Args:
        expected: what making some of them may take, by role.
    """
    rows = [
        (
            f"{MARKS[e.state]} {e.address}",
            e.at_work or e.state,
            f"from {', '.join(_given(*given) for given in e.inputs.items())}" if e.inputs else "",
            *([_taking(expected.get(e.noun))] if expected else []),
        )
        for e in entries
    ]
    lines = align(rows).splitlines()
    for number, entry in reversed(list(enumerate(entries))):
        lines[number + 1 : number + 1] = [f"      {printable(change)}" for change in entry.difference]
    todo = sum(e.state in ("half made", "to make") for e in entries)
    lines.append(f"{len(entries) - todo} of {len(entries)} are there; {todo or 'nothing'} to make")
    if any(each.memory for each in (expected or {}).values()):
        lines.append(f"memory is the most that a stage's processes hold at once; this machine has {size(memory())}")
    return "\n".join(lines)


def _taking(found: Expected | None) -> str:
    """'about 80 s to 2.7 min, 1.1 GB, by 2 records'."""
    if found is None:
        return ""
    parts = [_span(found.seconds, _time)]
    parts += [_span(found.memory, size)] if found.memory else []
    parts += [f"{_span(found.device_memory, size)} of a GPU"] if found.device_memory else []
    return f"about {', '.join(parts)}, by {found.seconds.records} record{'s' if found.seconds.records > 1 else ''}"


def _span(span: Span, shown: Callable[[float], str]) -> str:
    low, high = shown(span.low), shown(span.high)
    return low if low == high else f"{low} to {high}"


def _time(seconds: float) -> str:
    """Seconds in the unit that suits them, to two digits."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def _given(role: str, source: Mapping[str, Any]) -> str:
    """An input by its noun; an artifact in another role (base, start) with its address."""
    if noun_of(role) in NOUNS or source["address"].partition("/")[0] not in NOUNS:
        return role
    return f"{role} {source['address']}"


def results(places: Mapping[str, Place]) -> str:
    """Everything that is known of a run: the ranking, the index, and what one prefix holds."""
    parts = [ranking(places), index_quality(places), example_items(places)]
    return "\n\n".join(part for part in parts if part)


def ranking(places: Mapping[str, Place]) -> str:
    """HR, NDCG and MRR of every method under both history rules, and the model's paired advantage."""
    found = facts.results(places)
    if found is None:
        return ""
    cutoffs = [k for k in SHOWN_CUTOFFS if k in found.cutoffs] or found.cutoffs
    names = [f"{metric}@{k}" for metric in found.metrics for k in cutoffs]
    rows: list[Sequence[str]] = []
    for rule in HISTORY_RULES:
        rows.append([f"history {rule}", *names])
        rows += [[f"  {m}", *(f"{found.means[m][rule][n]['mean']:.4f}" for n in names)] for m in found.methods]
    by_group = group_tables(places, found)
    middle = cutoffs[min(1, len(cutoffs) - 1)]
    tested = [f"{metric}@{middle}" for metric in found.metrics if metric != "HR"]
    note = f"; {MAP}" if "MRR" in found.metrics else ""
    lines = [
        f"ranking, {found.counts['samples']:,} test samples, all items{note}",
        *filter(None, [facts.leak(places), found.warning]),
    ]
    lines.append(align(rows, right=True))
    lines.append(f"paired by sample, history {found.rule}")
    for baseline in found.methods[1:]:
        tests = found.comparisons[baseline][found.rule]
        lines += [f"  {found.methods[0]} - {baseline}: {advantage(tests[name], name)}" for name in tested]
    if by_group:
        lines += [f"by group of samples, history {found.rule}", *(align(rows, right=True) for rows in by_group)]
    if found.lists:
        lines.append(align(list_rows(found), right=True))
    return "\n".join(lines)


def list_rows(found: facts.Results) -> list[list[str]]:
    """The diversity of every method's lists: a head, and a row for each method."""
    return [
        ["lists, history excluded", *(name for name, _ in LISTS.values())],
        *(
            [method, *(form.format(own[name]) if name in own else "-" for name, (_, form) in LISTS.items())]
            for method, own in found.lists.items()
        ),
    ]


def group_tables(places: Mapping[str, Place], found: facts.Results) -> list[list[Sequence[str]]]:
    """A table for each of NDCG, HR and MRR: a head, and a row for each group of samples, with how many they are and the
    figure of every method; none where there are no groups."""
    groups = facts.groups(places)
    if not groups:
        return []
    ours = groups[found.methods[0]][found.rule]
    known = next(iter(ours.values()))
    return [
        [
            [metric, "samples", *found.methods],
            *(
                [name, f"{each['samples']:,}", *(f"{groups[m][found.rule][name][metric]:.4f}" for m in found.methods)]
                for name, each in ours.items()
            ),
        ]
        for kind in GROUPED
        for metric in known
        if metric.startswith(kind)
    ]


def advantage(test: Mapping[str, float], name: str) -> str:
    """'NDCG@10 +0.0123 [+0.0050, +0.0190], one-sided p 0.001, Cohen's d +0.050'."""
    spread = f"[{test['low']:+.4f}, {test['high']:+.4f}]"
    return f"{name} {test['difference']:+.4f} {spread}, one-sided p {test['p']:.2g}, Cohen's d {test['cohens_d']:+.3f}"


def index_quality(places: Mapping[str, Place]) -> str:
    """The use of every level, and collisions before they were resolved."""
    found = facts.index(places, 0)
    if found is None or "usage" not in found.quality:
        return ""
    quality = found.quality
    learned = len(quality["usage"])
    rows: list[Sequence[str]] = [["level", "codes", "used", "entropy"]]
    for level, size in enumerate(found.sizes[:learned]):
        used, spread = quality["usage"][level], quality["entropy"][level]
        rows.append([str(level + 1), str(size), f"{used:.1%}", f"{spread:.1%}"])
    before = f"{quality['distinct_share']:.1%} distinct, {quality['collision_rate']:.1%} of items in collisions"
    after = f"before resolution: {before}; after: all {found.num_items:,} unique"
    further = "; ".join(text.format(quality[name]) for name, text in OF_INDEX.items() if quality.get(name) is not None)
    return "\n".join(filter(None, ["semantic ids", align(rows, right=True), after, further]))


def example_items(places: Mapping[str, Place], count: int = 10) -> str:
    """Some items of one prefix, by title."""
    found = facts.index(places, TITLES_READ)
    if found is None or not len(found.titles):
        return ""
    prefix = facts.example_prefix(found, count)
    items = facts.items_of(found, prefix)[:count]
    rows = [(spell(tuple(found.codes[i].tolist())), found.titles[i]) for i in items]
    return f"items under {spell(prefix)}\n{align(rows)}"


def align(rows: Iterable[Sequence[str]], right: bool = False) -> str:
    """Columns of equal width; with `right`, all but the first are flush right. A cell stays one line."""
    table = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    side = [">" if right and c else "<" for c in range(len(widths))]
    return "\n".join(
        "  ".join(f"{v:{s}{w}}" for v, s, w in zip(row, side, widths, strict=True)).rstrip() for row in table
    )


def size(count: float) -> str:
    """Bytes as a person reads them: 589184 is '589 kB'."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def plain(value: Any) -> str:
    """A setting or a figure as text: thousands apart, six digits at most."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(plain(entry) for entry in value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def cut(title: str) -> str:
    """A title without control characters, and not too long; what is cut ends in '…'."""
    shown = printable(title)
    return shown if len(shown) <= LETTERS else shown[: LETTERS - 1].rstrip() + "…"
