"""How long what a plan lacks may take, from the records of earlier artifacts of the same store.

A stage's time is taken to grow with its work: the size of the catalogue (interactions for what reads sequences or
edges, items for all else) times the passes over it. Only records with parts of the same kinds count. No record holds a
peak of memory, so there is no estimate of it.
"""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unisid.artifacts.record import Record, read_record
from unisid.artifacts.store import Address, Store
from unisid.errors import ArtifactError, UnisidError
from unisid.planned import Planned

BY_INTERACTIONS = ("graph", "joint", "sequences", "instructions", "model", "baseline", "metrics")
"""The nouns whose work grows with interactions; that of others grows with items."""
RECORDS = 12
"""Records of a noun that are read, at most."""
MISSING = ("to make", "half made")


@dataclass(frozen=True)
class Duration:
    """Seconds that a stage may take: the range over records, each scaled to the planned work."""

    low: float
    high: float
    records: int


def durations(entries: Sequence[Planned], store: Store) -> dict[str, Duration]:
    """Role -> how long making it may take, for what is missing and has a like record, once the catalogue is there."""
    catalog = next((entry for entry in entries if entry.noun == "catalog"), None)
    if catalog is None or catalog.state not in ("complete", "shared"):
        return {}
    with contextlib.suppress(ArtifactError):
        size = read_record(store.place(catalog.address))
        if size is not None:
            found = {entry.noun: _duration(entry, size, store) for entry in entries if entry.state in MISSING}
            return {role: duration for role, duration in found.items() if duration is not None}
    return {}


def _duration(entry: Planned, catalog: Record, store: Store) -> Duration | None:
    noun = entry.address.noun
    name = "interactions" if noun in BY_INTERACTIONS else "items"
    most, low, high = _epochs(entry.config), [], []
    for record in _like(entry, store):
        there = _catalog_of(record, store)
        if there is None or not there.counts.get(name) or not catalog.counts.get(name):
            continue
        scale = catalog.counts[name] / there.counts[name]
        done = record.counts.get("epochs")
        if isinstance(done, int) and done > 0 and most:
            low.append(record.seconds * scale * min(done, most) / done)
            high.append(record.seconds * scale * most / done)
        else:
            low.append(record.seconds * scale)
            high.append(record.seconds * scale)
    return Duration(min(low), max(high), len(low)) if low else None


def _like(entry: Planned, store: Store) -> Iterator[Record]:
    """Complete artifacts of a noun whose parts are of the planned kinds."""
    kinds = dict(_kinds(entry.config))
    for address in itertools.islice(store.addresses(entry.address.noun), RECORDS):
        with contextlib.suppress(ArtifactError):
            record = read_record(store.place(address))
            if record is not None and dict(_kinds(record.config)) == kinds:
                yield record


def _catalog_of(record: Record, store: Store) -> Record | None:
    """The record of the catalogue that an artifact was made from, directly or through its other inputs."""
    todo, seen = [record], set[str]()
    while todo:
        inputs = todo.pop().inputs
        if "catalog" in inputs:
            with contextlib.suppress(UnisidError):
                return read_record(store.place(Address.parse(inputs["catalog"]["address"])))
            return None
        for entry in inputs.values():
            if entry["address"] in seen:
                continue
            seen.add(entry["address"])
            with contextlib.suppress(UnisidError):  # a source is no artifact
                todo += [found] if (found := read_record(store.place(Address.parse(entry["address"])))) else []
    return None


def _kinds(config: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The kinds of a stage's parts, by where they stand."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            if key == "kind":
                yield path, value
            else:
                yield from _kinds(value, f"{path}.{key}")


def _epochs(config: Mapping[str, Any]) -> int:
    """Passes over the data, at most; 0 where a stage has none."""
    training = config.get("training")
    found = training.get("epochs") if isinstance(training, Mapping) else config.get("epochs")
    return found if isinstance(found, int) else 0
