"""Runs what an artifact's record says once more, elsewhere, and compares: a run is a function of (recipe, seed, data).

Everything upstream is made anew too, and so are the versions that an extended index goes on from. Compared are bytes:
on one kind of device, with as many workers and threads, they are equal; where they are not, what differs is said in
numbers.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from unisid import pipeline
from unisid.artifacts.codes import Codes
from unisid.artifacts.curve import FILE as CURVE
from unisid.artifacts.reading import unverified
from unisid.artifacts.record import Record, require, require_input
from unisid.artifacts.roles import in_flow, name_of, noun_of
from unisid.artifacts.store import NOUNS, Address, Place, Store
from unisid.artifacts.weights import read_json
from unisid.compute import Compute
from unisid.config import differences, flatten
from unisid.errors import ArtifactError, ConfigError
from unisid.planned import Planned
from unisid.planning import Recipe
from unisid.stages import align
from unisid.stages.extension import Base
from unisid.stages.flow import settings_of
from unisid.stages.joint import FIRST, TEACHER

GONE_ON_FROM = ("base", "aligned", "start", "teacher", "reward")
"""The roles of what another run made: what an artifact extends, what a model's training starts from, who taught it."""
AGAIN = "again"
"""What the repeated artifacts are called."""


@dataclass(frozen=True)
class Compared:
    """An artifact and its repetition."""

    address: Address
    files: int
    """How many were compared: all but the record and the curve, which hold times."""
    differing: tuple[str, ...] = ()
    """Files that are not equal byte for byte."""
    note: str = ""
    """What a difference comes to."""

    def __str__(self) -> str:
        if not self.differing:
            return f"{self.address}: {self.files} files, equal byte for byte"
        return f"{self.address}: {', '.join(self.differing)} differ{f'; {self.note}' if self.note else ''}"


def reproduce(address: Address, store: Store, into: Store, compute: Compute) -> list[Compared]:
    """Make an artifact and all that it comes from anew, and compare each with what is recorded.

    Raises:
        ConfigError: the repetition is to lie in the same store, this version lacks a recorded setting, or the raw data
            are no longer what they were.
        ArtifactError: something that it was made from is gone or damaged.
    """
    if into.root == store.root:
        raise ConfigError(f"reproduce: {into.root} is the store of the run itself; give another folder (--into)")
    versions = history(address, store)
    recipes: list[tuple[Recipe, str]] = []
    there: dict[str, Base] = {}
    for number, made in enumerate(versions, 1):
        recipe, last = recipe_of(made, str(number), there), list(made)[-1]
        for entry in pipeline.plan(recipe, into, last):
            _refuse_other(made[entry.noun][1], entry)
            place = into.place(entry.address)
            again = Base(fingerprint=entry.fingerprint, address=str(entry.address), place=place.uri)
            there.setdefault(entry.fingerprint, again)  # the first that makes it; later ones share that
        recipes.append((recipe, last))
    found = []
    for made, (recipe, last) in zip(versions, recipes, strict=True):
        places = pipeline.run(recipe, into, compute, pipeline.NullTracker(), last)
        found += [
            compare(Address.parse(record.address), place, places[noun], record)
            for noun, (place, record) in made.items()
        ]
    return found


def history(address: Address, store: Store) -> list[dict[str, tuple[Place, Record]]]:
    """The lineage of an artifact, after those of the versions that it goes on from, the oldest first."""
    made = lineage(address, store)
    older: list[dict[str, tuple[Place, Record]]] = []
    for _, record in reversed(made.values()):  # the last noun's base has those of the nouns before it upstream
        for source in [record.inputs[role] for role in GONE_ON_FROM if role in record.inputs]:
            if any(source["fingerprint"] == there.fingerprint for each in older for _, there in each.values()):
                continue
            further = history(Address.parse(source["address"]), store)
            found = further[-1][Address.parse(source["address"]).noun][1].fingerprint
            if found != source["fingerprint"]:
                raise ArtifactError(
                    f"{source['address']}: has the fingerprint {found[:12]}, {record.address} goes on "
                    f"from {source['fingerprint'][:12]}; what stood there is gone, so {address} cannot "
                    "be made again"
                )
            older += further
    return [*older, made]


def lineage(address: Address, store: Store) -> dict[str, tuple[Place, Record]]:
    """An artifact, last, and everything upstream, by noun, in the order of the flow."""
    found: dict[str, tuple[Place, Record]] = {}
    todo = [(address.noun, store.place(address))]
    while todo:
        noun, place = todo.pop()
        record = require(place, noun_of(noun))
        found[noun] = (place, record)
        todo += [
            (role, require_input(store, record, role))
            for role in record.inputs
            if noun_of(role) in NOUNS and role not in found
        ]
    upstream = [noun for noun in in_flow(found) if noun != address.noun]
    return {noun: found[noun] for noun in (*upstream, address.noun)}


def recipe_of(
    made: Mapping[str, tuple[Place, Record]], version: str = "1", there: Mapping[str, Base] = MappingProxyType({})
) -> Recipe:
    """The recipe that the records describe; sections without a record keep their defaults, and are not run.

    Args:
        there: where the repetitions of older versions lie, by fingerprint.
    """
    parts = {role: _settings_of(noun_of(role), record, there) for role, (_, record) in made.items()}
    if (joint := parts.get("joint")) is not None:
        parts.setdefault("codes", parts[FIRST])
        parts.setdefault("model", joint.recommender)
        parts["joint"] = dataclasses.replace(joint, teacher=parts.get(TEACHER, joint.teacher), recommender=None)
    if isinstance(aligned := parts.get("model"), align.Config):
        parts |= {"align": dataclasses.replace(aligned, recommender=None)}
        parts["model"] = parts.get(align.START, aligned.recommender)
    parts = {role: part for role, part in parts.items() if role not in (FIRST, TEACHER, align.START)}
    modalities = {name: parts.pop(role) for role in list(parts) if (name := name_of(role))}
    return Recipe(name=AGAIN, version=version, modalities=modalities, **parts)


def _settings_of(noun: str, record: Record, there: Mapping[str, Base]) -> Any:
    """A stage's settings as recorded; what it goes on from is the repetition of that."""
    config = settings_of(noun, record)
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    bases: dict[str, Any] = {n: there[value.fingerprint] for n, value in values.items() if isinstance(value, Base)}
    if "older" in values:
        bases["older"] = tuple(there[base.fingerprint] for base in values["older"])
    return dataclasses.replace(config, **bases)


def compare(address: Address, first: Place, second: Place, record: Record) -> Compared:
    """An artifact with its repetition."""
    names = sorted(name for name in record.files if name != CURVE)
    there = second.sizes()
    differing = tuple(name for name in names if name not in there or first.read(name) != second.read(name))
    with unverified():  # a recorded file that has changed is what is to be shown
        found = [*_what_differs(address.noun, first, second)] if differing else []
    changed = [name for name in differing if name in record.sums and first.checksum(name) != record.sums[name]]
    note = "; ".join(found + [f"{name} of the store has changed since it was written" for name in changed])
    return Compared(address, len(names), differing, note)


def _what_differs(noun: str, first: Place, second: Place) -> Iterator[str]:
    if noun == "codes":
        before, after = Codes.read(first).codes, Codes.read(second).codes
        if before.shape == after.shape:
            yield f"{np.mean((before != after).any(axis=1)):.2%} of the items have another semantic id"
    if noun in ("metrics", "baseline"):
        old, new = (flatten(read_json(place, "metrics.json")) for place in (first, second))
        shifts = {name: abs(float(old[name]) - float(new[name])) for name in old if name in new}
        worst = max(shifts, key=lambda name: shifts[name])
        added = len(new.keys() - old.keys())
        yield f"{worst} by {shifts[worst]:.2g}, no figure by more" + (f"; {added} figures are new" if added else "")


def _refuse_other(record: Record, planned: Planned) -> None:
    if record.fingerprint != planned.fingerprint:
        before = record.config | {"inputs": {r: e["fingerprint"][:12] for r, e in record.inputs.items()}}
        after = planned.config | {"inputs": {r: e["fingerprint"][:12] for r, e in planned.inputs.items()}}
        lines = "\n    ".join(differences(before, after))
        raise ConfigError(
            f"reproduce: {record.address} cannot be made again from here; what differs:\n    {lines}\n"
            "  raw data and pretrained weights must be where they were, and what they were"
        )
