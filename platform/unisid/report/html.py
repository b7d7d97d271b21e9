"""The report: one HTML file that needs nothing else, and its charts beside it as PNG.

Sections are made from whatever artifacts are complete. The templates, the style and the script lie in `page/`; whatever
a template shows is cleaned and escaped, unless it is markup that this module made.
"""

import datetime
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from unisid.artifacts.fused import Fused
from unisid.artifacts.store import Place
from unisid.ops import keywords
from unisid.printable import printable
from unisid.report import charts, facts, sections
from unisid.report.explorer import explorer

FILE = "report.html"
KEYED = ("prefix_map",)
"""Charts whose colours the page explains beside them, in text that wraps."""
MAPPED = 2000
"""Items in the map of vectors, at most."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""What the browser may load for the page: nothing."""
SECTIONS = {
    "Data": sections.data,
    "Results": sections.results,
    "Recommendations": sections.recommendations,
    "Index": sections.index,
    "Explorer": explorer,
    "Learning": lambda places: {},
    "Flow": sections.flow,
    "Settings": sections.settings,
}
"""In the order of the page; each has a template of its name."""


def write_report(places: Mapping[str, Place], out: Place, note: str = "") -> Place:
    """Write `report.html` and its charts into `out`, from the complete artifacts among `places` (noun -> place)."""
    records = facts.records(places)
    drawings = draw(places)
    for name, panels in drawings.items():
        out.write(f"{name}.png", charts.png(panels))
    drawn = {
        name: [Markup(svg) for svg in charts.svgs(panels, legend=name not in KEYED)]
        for name, panels in drawings.items()
    }
    found = {name: make(places) for name, make in SECTIONS.items() if name != "Learning" or "learning_curves" in drawn}
    last = list(records.values())[-1] if records else None
    page = (
        templates()
        .get_template("page.html")
        .render(
            policy=POLICY,
            title=last.address.split("/", 1)[1] if last else "nothing made yet",
            nouns=list(records),
            notes=[text for text in (facts.leak(places), note) if text],
            sections={name: section for name, section in found.items() if section is not None},
            drawn=drawn,
            keys={name: charts.key(drawings[name]) for name in KEYED if name in drawings},
            written=f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
        )
    )
    out.write(FILE, page.encode())
    return out


def draw(places: Mapping[str, Place]) -> dict[str, list[charts.Panel]]:
    """Every chart that the artifacts allow, by name."""
    results, index, shape = facts.results(places), facts.index(places, MAPPED), facts.activity(places)
    found = {"learning_curves": charts.learning_curves(facts.curves(places), facts.scores(places))}
    if shape is not None:
        found["history_lengths"] = charts.activity_bars(shape.by_length)
    if results is not None:
        found["metric_bars"] = charts.metric_bars(results.means, results.methods, sections.top_cutoff(results))
    if index is not None:
        found["level_usage"] = charts.level_usage(index.codes, index.sizes)
    if index is not None and "fused" in (records := facts.records(places)):
        shown = len(index.titles)
        vectors = Fused(places["fused"], records["fused"]).vectors(np.arange(shown))
        names = keywords.names(index.codes, facts.texts(places, keywords.ITEMS), levels=1)
        found["prefix_map"] = charts.prefix_map(vectors, index.codes[:shown], index.titles, names)
    if (rows := facts.new_rows(places)) is not None:
        found["rows_map"] = charts.rows_map(*rows)
    return {name: panels for name, panels in found.items() if panels}


@functools.cache
def templates() -> Environment:
    """The report's templates; what they show is cleaned of control characters and escaped."""
    found = Environment(
        loader=PackageLoader("unisid.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    assert found.loader is not None
    found.globals["style"], found.globals["script"] = (
        Markup(found.loader.get_source(found, name)[0]) for name in ("page.css", "page.js")
    )
    return found


def _clean(value: Any) -> Any:
    """A value as a template may show it: markup as it is, anything else as printable text."""
    return value if hasattr(value, "__html__") else printable(str(value))
