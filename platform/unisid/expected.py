"""What it may take to make what a plan lacks: time and memory, from the records of earlier artifacts of the same store.

A stage's time is taken to grow with its work: the size of the catalogue (interactions for what reads sequences or
edges, items for all else) times the passes over it. Its memory is taken to lie between what it was and what it would
be if all that the work added grew with the catalogue. Only records with parts of the same kinds and the same
pretrained models count, and only those of this machine; what was made before records named theirs counts as made here.
Records of the planned sizes (widths, layers, ...) come before others, whose time lies between what it was and what it
would be if it grew with each of these. Where there is no catalogue yet, the rows of the raw data stand for its size:
what filters will drop is counted too.

A catalog that is sorted on disk (`catalog.memory`) holds no more than it may and takes longer than one that is sorted
in memory; a record of the other way counts with that.
"""

import contextlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unisid.artifacts.record import Record, newest_first, read_record
from unisid.artifacts.store import Address, Store
from unisid.errors import ArtifactError, UnisidError
from unisid.footprint import CLUSTER, machine
from unisid.planned import Planned

BY_INTERACTIONS = ("catalog", "graph", "joint", "sequences", "instructions", "model", "baseline", "metrics")
"""The nouns whose work grows with interactions; that of others grows with items."""
RECORDS = 12
"""Like records of a noun that count, at most: the newest."""
LOOKED_AT = 50
"""Records of a noun that are read, at most."""
SIZES = ("width", "layers", "levels", "queries", "codebook_size", "max_tokens", "history_length", "neighbours", "beam")
"""How the names of settings end that say how large a stage's parts are."""
MISSING = ("to make", "half made")
ON_DISK = 1.4
"""Times as long as in memory takes a catalog that is sorted on disk (`benchmarks.scale.above_memory`)."""


@dataclass(frozen=True)
class Span:
    """The range over records, each scaled to the planned work."""

    low: float
    high: float
    records: int

    @classmethod
    def over(cls, ranges: Sequence[tuple[float, float]]) -> "Span | None":
        """The whole range of some; None of none."""
        if not ranges:
            return None
        lows, highs = zip(*ranges, strict=True)
        return cls(min(lows), max(highs), len(ranges))


@dataclass(frozen=True)
class Expected:
    """What making an artifact may take."""

    seconds: Span
    memory: Span | None
    """Bytes of this machine; None where no record has any."""
    device_memory: Span | None
    """Bytes of each worker's GPU, likewise."""


def expected(
    entries: Sequence[Planned], store: Store, raw: Mapping[str, int] | None = None, bound: float = 0.0
) -> dict[str, Expected]:
    """Role -> what making it may take, for what is missing and has a like record.

    Args:
        raw: how many items and interactions the raw data have, as far as that is known: the size of a catalogue that
            is not there yet.
        bound: bytes that the catalog holds at most while it is sorted on disk; 0: it is sorted in memory.
    """
    sizes = _sizes_of_catalog(entries, store) or raw or {}
    here = ("", machine(), *((CLUSTER,) if "RAY_ADDRESS" in os.environ else ()))
    found = {entry.noun: _expected(entry, sizes, store, here, bound) for entry in entries if entry.state in MISSING}
    return {role: each for role, each in found.items() if each is not None}


def lacks_catalog(entries: Sequence[Planned]) -> bool:
    """Whether a plan's catalogue is still to be made."""
    return any(entry.noun == "catalog" and entry.state in MISSING for entry in entries)


def _sizes_of_catalog(entries: Sequence[Planned], store: Store) -> Mapping[str, int]:
    """Items and interactions of the catalogue that is there; nothing where there is none."""
    catalog = next((entry for entry in entries if entry.noun == "catalog"), None)
    if catalog is None or catalog.state not in ("complete", "shared"):
        return {}
    with contextlib.suppress(ArtifactError):
        record = read_record(store.place(catalog.address))
        return {} if record is None else record.counts
    return {}


def _expected(
    entry: Planned, sizes: Mapping[str, Any], store: Store, here: Sequence[str], bound: float
) -> Expected | None:
    noun = entry.address.noun
    name = "interactions" if noun in BY_INTERACTIONS else "items"
    most = _epochs(entry.config)
    if not sizes.get(name):
        return None
    times, memories, devices = list[tuple[float, float]](), list[tuple[float, float]](), list[tuple[float, float]]()
    for record, factor in _like(entry, store, here):
        there = record if noun == "catalog" else _catalog_of(record, store)
        if there is None or not there.counts.get(name):
            continue
        scale = sizes[name] / there.counts[name]
        low, high = _time(record, scale, most)
        way = _other_way(record, bound) if noun == "catalog" else 1.0
        times.append((low * min(1.0, factor, way), high * max(1.0, factor, way)))
        if (peak := _bytes(record, "peak")) and way >= 1:  # what was held beside a disk says nothing of all in memory
            least, largest = _grown(min(_bytes(record, "before"), peak), peak, scale * factor)
            bounded = bound if noun == "catalog" and bound else math.inf
            memories.append((min(least, bounded), min(largest, bounded)))
        if peak := _bytes(record, "device"):
            devices.append(_grown(0, peak, scale * factor))
    lasting = Span.over(times)
    return None if lasting is None else Expected(lasting, Span.over(memories), Span.over(devices))


def _time(record: Record, scale: float, most: int) -> tuple[float, float]:
    """The least and the most time: a training may stop as early as it did, or make all its passes."""
    done = record.counts.get("epochs")
    if isinstance(done, int) and done > 0 and most:
        return record.seconds * scale * min(done, most) / done, record.seconds * scale * most / done
    return record.seconds * scale, record.seconds * scale


def _other_way(record: Record, bound: float) -> float:
    """How many times as long a catalog takes as its record, for being sorted in memory or on disk where that was not.

    A record that its size alone put on disk counts as one in memory: it does not say so.
    """
    was, will = bool(record.settings.get("memory")), bool(bound)
    return 1.0 if was == will else ON_DISK if will else 1 / ON_DISK


def _grown(before: int, peak: int, scale: float) -> tuple[float, float]:
    """The peak as it was, and as it would be if what came on top of `before` grew; the smaller first."""
    grown = before + (peak - before) * scale
    return min(float(peak), grown), max(float(peak), grown)


def _bytes(record: Record, name: str) -> int:
    """A number of bytes; 0 where none was measured."""
    value = record.memory.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def _like(entry: Planned, store: Store, here: Sequence[str]) -> list[tuple[Record, float]]:
    """The newest complete artifacts of a noun whose parts are of the planned kinds, made on these machines; each with
    the planned sizes by its own. Those of the planned sizes alone, where there are such."""
    kinds, sizes = dict(_kinds(entry.config)), dict(_sizes(entry.config))
    same, others_of_kind = list[tuple[Record, float]](), list[tuple[Record, float]]()
    models = _models(entry.inputs) if entry.address.noun != "catalog" else {}
    for record in newest_first(store, entry.address.noun, LOOKED_AT):
        if record.machine not in here or dict(_kinds(record.config)) != kinds:
            continue
        others = _models(record.inputs)
        if any(others.get(role, models[role]) != models[role] for role in models):
            continue
        own = dict(_sizes(record.config))
        ratios = sorted(sizes[name] / own[name] for name in sizes.keys() & own.keys())
        (same if set(ratios) <= {1.0} else others_of_kind).append((record, math.prod(ratios)))
        if len(same) == RECORDS:
            break
    return (same or others_of_kind)[:RECORDS]


def _models(inputs: Mapping[str, Any]) -> dict[str, str]:
    """Inputs that are no artifacts, by role: a pretrained model decides how long a stage takes."""
    found = {}
    for role, entry in inputs.items():
        try:
            Address.parse(entry["address"])
        except UnisidError:
            found[role] = entry["fingerprint"]
    return found


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


def _sizes(config: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """The settings that say how large a stage's parts are, by where they stand."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            if isinstance(value, int | float) and value > 0 and not isinstance(value, bool) and key.endswith(SIZES):
                yield f"{path}.{key}", float(value)
            else:
                yield from _sizes(value, f"{path}.{key}")


def _epochs(config: Mapping[str, Any]) -> int:
    """Passes over the data, at most; 0 where a stage has none."""
    training = config.get("training")
    found = training.get("epochs") if isinstance(training, Mapping) else config.get("epochs")
    return found if isinstance(found, int) else 0
