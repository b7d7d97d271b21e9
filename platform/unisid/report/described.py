"""One artifact in words: what it is, what made it, what came out, by which settings."""

import ast
import importlib.resources
from collections.abc import Mapping
from typing import Any

from unisid.artifacts.record import Record
from unisid.artifacts.store import Place
from unisid.config import flatten
from unisid.report.tables import align, plain, ranking, size

RANKED = ("means", "advantage", "baseline_groups", "baseline_lists")
"""Counts that the ranking already covers."""


def description(place: Place, record: Record) -> str:
    """For a person; the record itself holds more (`unisid show --json`)."""
    figures = {key: value for key, value in record.counts.items() if not isinstance(value, Mapping)}
    groups = {key: value for key, value in record.counts.items() if isinstance(value, Mapping) and key not in RANKED}
    parts = [
        f"{record.address}\n{meaning(record.noun)}",
        align(_origin(place, record)),
        _section("counts", figures),
        *(_section(key.replace("_", " "), group) for key, group in groups.items()),
        ranking({record.noun: place}),
        _section("settings", record.config),
    ]
    return "\n\n".join(part for part in parts if part)


def meaning(noun: str) -> str:
    """The meaning of a noun: the first line of its format's module, which is read, not run."""
    source = importlib.resources.files("unisid.artifacts").joinpath(f"{noun}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or noun).splitlines()[0]


def _origin(place: Place, record: Record) -> list[tuple[str, str]]:
    given = align((entry["address"], entry["fingerprint"][:12]) for entry in record.inputs.values()).splitlines()
    made = f"{record.created[:16].replace('T', ' ')} UTC, in {record.seconds:,.1f} s, by unisid {record.code_version}"
    peaks = {"peak": "{}", "device": "{} of a GPU"}
    held = [text.format(size(record.memory[name])) for name, text in peaks.items() if record.memory.get(name)]
    return [
        *(("made from" if not number else "", line) for number, line in enumerate(given)),
        ("made", made),
        *([("memory", f"{', '.join(held)} at most, on {record.machine}")] if held else []),
        ("fingerprint", record.fingerprint[:12]),
        ("lies at", f"{place}, {len(record.files)} files, {size(sum(record.files.values()))}"),
    ]


def _section(title: str, values: Mapping[str, Any]) -> str:
    rows = [(f"  {key}", plain(value)) for key, value in flatten(values).items()]
    return f"{title}\n{align(rows)}" if rows else ""
