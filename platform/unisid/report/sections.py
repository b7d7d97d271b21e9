"""What each section of the report is filled with, as plain values; the templates in `page/` show them.

A section is None where its artifacts are not complete.
"""

from collections.abc import Mapping
from typing import Any

from unisid.artifacts.metrics import HISTORY_RULES
from unisid.artifacts.record import Record
from unisid.artifacts.store import Place
from unisid.config import flatten
from unisid.report import facts
from unisid.report.described import RANKED
from unisid.report.examples import examples
from unisid.report.tables import group_tables, list_rows, plain
from unisid.stages.catalog import summary

Section = dict[str, Any] | None

PROTOCOLS = {
    "leave-one-out": "Each user's last interaction is the test target and the one before it the validation target; "
    "all earlier ones are for training.",
    "future-window": "The validation window, and after it the test window, begin at one moment for everybody: what "
    "users take in a window is predicted from what is known at its beginning.",
    "temporal": "All interactions in the order of time: the first 80% are for training, the next 10% for validation, "
    "the last 10% are test targets.",
}
"""How a catalog splits its samples, in words."""


def data(places: Mapping[str, Place]) -> Section:
    """The section on data: sources of the catalog, effects of its policies, and warnings."""
    record = facts.records(places).get("catalog")
    if record is None:
        return None
    shape = facts.activity(places)
    figures = [(name, plain(value)) for name, value in summary.facts(record.counts)]
    if shape is not None:
        low, median, high, top = (f"{value:,}" for value in shape.typical.values())
        typical = f"{low} to {top}, median {median}; nine of ten users have at most {high}"
        figures[3:3] = [
            ("interactions of a user", typical),
            ("interactions with the most popular tenth of the items", f"{shape.head_share:.0%}"),
        ]
    return {
        "warnings": summary.warnings(record.counts),
        "protocol": PROTOCOLS.get(record.config.get("protocol", ""), ""),
        "samples": [
            (summary.TARGETS[split], record.counts[split]) for split in summary.TARGETS if split in record.counts
        ],
        "figures": figures,
        "decisions": summary.decisions(record.counts),
        "unused": summary.unused(record.counts),
        "counted": "" if shape is None or shape.users == record.counts.get("users") else f"{shape.users:,}",
    }


def results(places: Mapping[str, Place]) -> Section:
    """The ranking of the model and its baselines, with intervals, paired tests and groups of samples."""
    found = facts.results(places)
    if found is None:
        return None
    top = top_cutoff(found)
    names = [f"{metric}@{top}" for metric in found.metrics]
    return {
        "found": found,
        "rules": HISTORY_RULES,
        "verdict": verdict(found, f"NDCG@{top}"),
        "means": [
            {"rule": rule, "metric": metric, "rows": _means(found, metric, rule)}
            for rule in HISTORY_RULES
            for metric in found.metrics
        ],
        "paired": [
            {"baseline": baseline, "metric": name, "rule": rule, "test": found.comparisons[baseline][rule][name]}
            for baseline in found.methods[1:]
            for name in names
            for rule in HISTORY_RULES
        ],
        "groups": _groups(places, found),
        "lists": list_rows(found) if found.lists else [],
        "known": found.counts.get("comprehension"),
    }


def top_cutoff(found: facts.Results) -> int:
    """The cut-off that a verdict goes by: 10, or the last."""
    return 10 if 10 in found.cutoffs else found.cutoffs[-1]


def verdict(found: facts.Results, name: str) -> str:
    """The model beside the strongest baseline, in a sentence."""
    own, *others = ((method, found.means[method][found.rule][name]["mean"]) for method in found.methods)
    said = f"{own[0]} reaches an {name} of {own[1]:.4f}, history {found.rule}"
    if not others:
        return f"{said}; there is no baseline to compare it with."
    best, height = max(others, key=lambda other: other[1])
    test = found.comparisons[best][found.rule][name]
    clear = "better" if test["low"] > 0 else "worse" if test["high"] < 0 else "not clearly different"
    return f"{said}; the best baseline, {best}, {height:.4f}. By the difference's 95% interval the model is {clear}."


def recommendations(places: Mapping[str, Place]) -> Section:
    """The section on recommendations: some users' histories beside their lists."""
    found = examples(places)
    return {"examples": found} if found else None


def index(places: Mapping[str, Place]) -> Section:
    """The size and the quality of the semantic ids."""
    found = facts.index(places, 0)
    if found is None:
        return None
    quality = [(key, plain(value)) for key, value in flatten(found.quality).items()]
    return {"found": found, "sizes": plain(list(found.sizes)), "quality": quality}


def flow(places: Mapping[str, Place]) -> Section:
    """A card an artifact: its largest counts, what made it, and all counts and files."""
    cards = [_card(noun, record) for noun, record in facts.records(places).items()]
    return {"cards": cards} if cards else None


def settings(places: Mapping[str, Place]) -> Section:
    """Every setting of every artifact, by its dotted key."""
    found = {
        noun: [(key, plain(value)) for key, value in flatten(record.config | record.runtime, noun).items()]
        for noun, record in facts.records(places).items()
    }
    shown = {noun: rows for noun, rows in found.items() if rows}
    return {"nouns": shown} if shown else None


def _means(found: facts.Results, metric: str, rule: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """A row a method: its cells, each with how far its bar reaches in its column."""
    names = [f"{metric}@{k}" for k in found.cutoffs]
    best = {name: max(found.means[method][rule][name]["mean"] for method in found.methods) for name in names}
    return [
        (
            method,
            [
                {**cell, "best": cell["mean"] == best[name] > 0, "reach": reach(cell["mean"], best[name])}
                for name in names
                for cell in [found.means[method][rule][name]]
            ],
        )
        for method in found.methods
    ]


def _groups(places: Mapping[str, Place], found: facts.Results) -> Section:
    """The figures by how popular the target is and by how long the history is."""
    tables = []
    for head, *body in group_tables(places, found):
        best = max(float(cell) for row in body for cell in row[2:])
        rows = [(row[0], row[1], [(cell, reach(float(cell), best)) for cell in row[2:]]) for row in body]
        tables.append({"head": head, "rows": rows})
    return {"tables": tables, "rule": found.rule} if tables else None


def reach(value: float, best: float) -> int:
    """How far the bar of a cell reaches, in percent of the longest."""
    return round(100 * min(max(value / best, 0.0), 1.0)) if best > 0 else 0


def _card(noun: str, record: Record) -> dict[str, Any]:
    counts = flatten({name: value for name, value in record.counts.items() if name not in RANKED})
    numbers = [(k, v) for k, v in counts.items() if isinstance(v, int) and v and v is not True and "." not in k]
    sizes = {name: f"{size:,} bytes" for name, size in record.files.items()}
    return {
        "noun": noun,
        "record": record,
        "largest": [(name.replace("_", " "), value) for name, value in sorted(numbers, key=lambda n: -n[1])[:4]],
        "rows": [(key, plain(value)) for key, value in {**counts, **sizes}.items()],
        "inputs": ", ".join(f"{role} {entry['fingerprint'][:8]}" for role, entry in record.inputs.items()),
    }
