"""The report: one HTML file that needs nothing else, and the plots beside it as PNG.

Sections are made from whatever artifacts are complete. `page.css` and `page.js` are written into the file.
"""

import datetime
import importlib.resources
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape as inert
from string import Template

import numpy as np
from matplotlib.figure import Figure

from unisid.artifacts.fused import Fused
from unisid.artifacts.metrics import HISTORY_RULES
from unisid.artifacts.record import Record
from unisid.artifacts.store import Place
from unisid.config import flatten
from unisid.printable import printable
from unisid.report import facts, plots
from unisid.report.examples import examples
from unisid.report.explorer import explorer
from unisid.report.tables import SHOWN_CUTOFFS, group_rows, plain
from unisid.stages.catalog import summary

FILE = "report.html"
MAPPED = 4000
"""Items in the map of vectors, at most."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""What the browser may load for the page: nothing."""

PAGE = Template("""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="$policy">
<title>$title</title><style>$css</style></head>
<body><header><p class="eyebrow">unisid report</p><h1>$title</h1><p class="quiet">$subtitle</p>$note
<nav>$links</nav></header><main>$body</main>
<footer class="quiet">Written $written from the artifacts' records. All figures are of this run alone.</footer>
<script>$script</script></body></html>
""")

LISTS = {
    "coverage": "coverage: share of all items that some list holds",
    "gini": "Gini: 0 where lists hold all items equally often, 1 where one alone",
    "novelty": "novelty: bits of surprise an item, by how many users took it in training",
    "likeness": "likeness of two items of a list: cosine by the users who took them in training",
}
"""What the figures of the recommender's lists are."""


def write_report(places: Mapping[str, Place], out: Place, note: str = "") -> Place:
    """Write `report.html` and its plots into `out`, from the complete artifacts among `places` (noun -> place)."""
    records = facts.records(places)
    figures = draw(places)
    for name, figure in figures.items():
        out.write(f"{name}.png", plots.png(figure))
    drawn = {name: plots.svg(figure, name) for name, figure in figures.items()}
    sections = {
        "Results": _results(places, drawn),
        "Recommendations": _recommendations(places),
        "Data": _data(records),
        "Index": _index(places, drawn),
        "Explorer": explorer(places),
        "Learning": _figure(drawn, "loss_curves", "What each stage reported while it learned."),
        "Flow": _flow(records),
        "Settings": _settings(records),
    }
    present = {name: text for name, text in sections.items() if text}
    last = list(records.values())[-1] if records else None
    page = PAGE.substitute(
        title=escape(last.address.split("/", 1)[1] if last else "nothing made yet"),
        subtitle=escape(" → ".join(records) or "no artifact is complete"),
        note=_notes([facts.leak(places), note]),
        links="".join(f'<a href="#{n.lower()}">{n}</a>' for n in present),
        body="".join(f'<section id="{n.lower()}"><h2>{n}</h2>{text}</section>' for n, text in present.items()),
        written=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        policy=POLICY,
        css=_asset("page.css"),
        script=_asset("page.js"),
    )
    out.write(FILE, page.encode())
    return out


def draw(places: Mapping[str, Place]) -> dict[str, Figure]:
    """Every plot that the artifacts allow, by name."""
    records = facts.records(places)
    figures: dict[str, Figure | None] = {"loss_curves": plots.loss_curves(facts.curves(places))}
    results, index = facts.results(places), facts.index(places, 0)
    if results is not None:
        cutoffs = [k for k in SHOWN_CUTOFFS if k in results.cutoffs] or results.cutoffs
        figures["metric_bars"] = plots.metric_bars(results.means, results.methods, cutoffs)
    if index is not None:
        figures["level_usage"] = plots.level_usage(index.codes, index.sizes)
    if index is not None and "fused" in records:
        shown = min(MAPPED, len(index.codes))
        vectors = Fused(places["fused"], records["fused"]).vectors(np.arange(shown))
        figures["prefix_map"] = plots.prefix_map(vectors, index.codes[:shown, 0])
    return {name: figure for name, figure in figures.items() if figure is not None}


def _results(places: Mapping[str, Place], drawn: Mapping[str, str]) -> str:
    found = facts.results(places)
    if found is None:
        return ""
    top = 10 if 10 in found.cutoffs else found.cutoffs[-1]
    tables = [f"<h3>History {r}</h3>{_means(found, 'HR', r)}{_means(found, 'NDCG', r)}" for r in HISTORY_RULES]
    rows = [
        [baseline, name, rule, *_advantage(found.comparisons[baseline][rule][name])]
        for baseline in found.methods[1:]
        for name in (f"HR@{top}", f"NDCG@{top}")
        for rule in HISTORY_RULES
    ]
    against = f"{found.methods[0]} against"
    paired = _table([against, "metric", "history", "difference", "95% interval", "p, one-sided", "Cohen's d"], rows)
    intro = (
        f"<p>{found.counts['samples']:,} test samples, each target ranked among all items; equal scores count "
        "half. Small figures are 95% bootstrap intervals; the best mean of a column is bold.</p>"
    )
    verdict = f'<p class="verdict">{escape(_verdict(found, f"NDCG@{top}"))}</p>'
    first = _notes([found.warning]) + intro + verdict
    groups = _groups(places, found)
    return first + _figure(drawn, "metric_bars") + "".join(tables) + f"<h3>Sample by sample</h3>{paired}" + groups


def _groups(places: Mapping[str, Place], found: facts.Results) -> str:
    """The figures by how popular the target is and by how long the history is."""
    rows = group_rows(places, found)
    if not rows:
        return ""
    text = (
        "<p>Popularity is how many users took an item in training: thirds of equally many items; a cold one has "
        "none. With one target a sample MAP is MRR, which groups.json has beside the hit rate.</p>"
    )
    return f"<h3>By popularity and history, history {found.rule}</h3>{text}{_table(rows[0], rows[1:])}"


def _recommendations(places: Mapping[str, Place]) -> str:
    """What the lists are like, and some users' histories beside what is recommended to them."""
    record = facts.records(places).get("metrics")
    lists = {} if record is None else record.counts.get("lists", {})
    head = _table(["", ""], [[LISTS[name], f"{value:.3f}"] for name, value in lists.items() if name in LISTS])
    parts = [head] if lists else []
    for each in examples(places):
        history = "".join(f"<li>{escape(title)}</li>" for title in each.history)
        offered = "".join(
            f"<li>{f'<strong>{escape(title)}</strong>' if number == each.place else escape(title)}</li>"
            for number, title in enumerate(each.recommended, 1)
        )
        came = f"place {each.place}" if each.place else "not among these"
        parts.append(
            f'<h3>User {escape(each.user)}</h3><div class="beside"><div><h4>History, the last at the end</h4>'
            f"<ol>{history}</ol></div><div><h4>Recommended</h4><ol>{offered}</ol></div></div>"
            f"<p>Then came <strong>{escape(each.target)}</strong>: {came}.</p>"
        )
    return "".join(parts)


def _means(found: facts.Results, metric: str, rule: str) -> str:
    names = [f"{metric}@{k}" for k in found.cutoffs]
    best = {n: max(found.means[m][rule][n]["mean"] for m in found.methods) for n in names}
    rows = [[method, *(_mean(found.means[method][rule][n], best[n]) for n in names)] for method in found.methods]
    return _table([metric, *(f"@{k}" for k in found.cutoffs)], rows, raw=True)


def _verdict(found: facts.Results, name: str) -> str:
    """The model beside the strongest baseline, in a sentence."""
    own, *others = ((method, found.means[method][found.rule][name]["mean"]) for method in found.methods)
    said = f"{own[0]} reaches an {name} of {own[1]:.4f}, history {found.rule}"
    if not others:
        return f"{said}; there is no baseline to compare it with."
    best, height = max(others, key=lambda other: other[1])
    test = found.comparisons[best][found.rule][name]
    clear = "better" if test["low"] > 0 else "worse" if test["high"] < 0 else "not clearly different"
    return f"{said}; the best baseline, {best}, {height:.4f}. By the difference's 95% interval the model is {clear}."


def _data(records: Mapping[str, Record]) -> str:
    """What the catalog was made of, what its policies did to it, and what to see before figures are believed."""
    if "catalog" not in records:
        return ""
    counts = records["catalog"].counts
    figures = _table(["", ""], [[name, plain(value)] for name, value in summary.facts(counts)])
    rows = [[f"{done.count:,}", done.what, done.setting] for done in summary.decisions(counts)]
    return _notes(summary.warnings(counts)) + figures + (_table(["count", "what", "decided by"], rows) if rows else "")


def _index(places: Mapping[str, Place], drawn: Mapping[str, str]) -> str:
    found = facts.index(places, 0)
    if found is None:
        return ""
    codes = f"{len(found.sizes)} levels of {plain(list(found.sizes))} codes"
    intro = f"<p>{found.num_items:,} items, {codes}; all ids unique.</p>"
    rows = [[key, plain(value)] for key, value in flatten(found.quality).items()]
    quality = f"<details><summary>Quality report</summary>{_table(['figure', 'value'], rows)}</details>"
    usage = _figure(drawn, "level_usage", "Items a code, fullest first; dashed: equal use.")
    seen = _figure(drawn, "prefix_map", "Fused vectors on their two widest directions, coloured by the first code.")
    return intro + usage + seen + (quality if rows else "")


def _flow(records: Mapping[str, Record]) -> str:
    cards = []
    for noun, record in records.items():
        counts = flatten(record.counts)
        numbers = [(k, v) for k, v in counts.items() if isinstance(v, int) and v and v is not True and "." not in k]
        largest = sorted(numbers, key=lambda number: -number[1])[:4]
        shown = "".join(f"<li><b>{v:,}</b> {escape(k.replace('_', ' '))}</li>" for k, v in largest)
        rows = [[key, plain(value)] for key, value in {**counts, **_sizes(record)}.items()]
        made = ", ".join(f"{role} {entry['fingerprint'][:8]}" for role, entry in record.inputs.items())
        cards.append(
            f'<article><h3>{noun}</h3><p class="mono">{escape(record.address)}<br>{record.fingerprint[:12]}</p>'
            f'<ul>{shown}</ul><p class="quiet">{record.seconds:,.1f} s · {escape(record.created[:16])}'
            f"{'<br>from ' + escape(made) if made else ''}</p>"
            f"<details><summary>All counts and files</summary>{_table(['', ''], rows)}</details></article>"
        )
    return f'<div class="flow">{"".join(cards)}</div>' if cards else ""


def _sizes(record: Record) -> dict[str, str]:
    return {name: f"{size:,} bytes" for name, size in record.files.items()}


def _settings(records: Mapping[str, Record]) -> str:
    return "".join(
        f"<details><summary>{noun}</summary>{_table(['key', 'value'], rows)}</details>"
        for noun, record in records.items()
        if (rows := [[key, plain(v)] for key, v in flatten(record.config | record.runtime, noun).items()])
    )


def _notes(texts: Iterable[str]) -> str:
    return "".join(f'<p class="note">{escape(text)}</p>' for text in texts if text)


def _figure(drawn: Mapping[str, str], name: str, caption: str = "") -> str:
    under = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure id="{name}"><div class="wide">{drawn[name]}</div>{under}</figure>' if name in drawn else ""


def _mean(cell: Mapping[str, float], best: float) -> str:
    mean = f"{cell['mean']:.4f}"
    body = f"<b>{mean}</b>" if cell["mean"] == best and best > 0 else mean
    return f"{body}<small>{cell['low']:.4f}–{cell['high']:.4f}</small>"


def _advantage(test: Mapping[str, float]) -> list[str]:
    spread = f"{test['low']:+.4f} to {test['high']:+.4f}"
    return [f"{test['difference']:+.4f}", spread, f"{test['p']:.2g}", f"{test['cohens_d']:+.3f}"]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], raw: bool = False) -> str:
    """A table; with `raw`, the cells are markup already, but for each row's first."""
    clean: Callable[[str], str] = str if raw else escape
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr><th>{escape(row[0])}</th>{''.join(f'<td>{clean(cell)}</td>' for cell in row[1:])}</tr>" for row in rows
    )
    head_row = f"<thead><tr>{top}</tr></thead>" if any(head) else ""
    return f'<div class="wide" tabindex="0"><table>{head_row}<tbody>{body}</tbody></table></div>'


def escape(text: str) -> str:
    """Text as the page may hold it: no markup, and nothing that hides or turns round what stands beside it."""
    return inert(printable(text))


def _asset(name: str) -> str:
    return importlib.resources.files("unisid.report").joinpath(name).read_text(encoding="utf-8")
