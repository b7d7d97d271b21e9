"""The record of an artifact: what made it. It is written last: its presence is completeness.

The fingerprint covers the noun, the settings that bear identity and the inputs' fingerprints; so it is known
before anything runs, and two artifacts with one fingerprint are interchangeable.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from unisid.artifacts.store import NOUNS, Address, Place, Store
from unisid.config import Json, fingerprint
from unisid.errors import ArtifactError

FORMAT = 1
"""The generation of the on-disk formats; it bears identity."""

RECORD = "record.json"


@dataclass(frozen=True, kw_only=True)
class Record:
    """What made an artifact, what went in, and what came out in numbers."""

    address: str
    config: Json
    """The stage's settings that bear identity."""
    inputs: dict[str, Json]
    """Role -> {"address", "fingerprint"} of what went in."""
    counts: Json = field(default_factory=dict)
    """What came out, in numbers: rows, statistics, quality."""
    files: dict[str, int] = field(default_factory=dict)
    """Every file of the artifact and its size in bytes."""
    code_version: str = ""
    seconds: float = 0.0
    created: str = ""
    runtime: Json = field(default_factory=dict)
    """The settings that bear no identity: how it was made."""

    @property
    def noun(self) -> str:
        return self.address.split("/")[0]

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.noun, self.config, self.inputs)


def fingerprint_of(noun: str, config: Mapping[str, Any], inputs: Mapping[str, Mapping[str, Any]]) -> str:
    """The identity of an artifact that is to be made, or was."""
    roles = {role: entry["fingerprint"] for role, entry in inputs.items()}
    return fingerprint({"format": FORMAT, "noun": noun, "config": config, "inputs": roles})


def write_record(place: Place, record: Record) -> None:
    """Complete an artifact: everything else must be on disk before this."""
    body = asdict(record) | {"fingerprint": record.fingerprint}
    place.write(RECORD, (json.dumps(body, indent=2, sort_keys=True) + "\n").encode())


def read_record(place: Place) -> Record | None:
    """The record at a place, or None where no complete artifact is."""
    if not place.exists(RECORD):
        return None
    try:
        body = json.loads(place.read(RECORD))
        stated = str(body.pop("fingerprint"))
        record = Record(**body)
        contents = record.fingerprint
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtifactError(
            f"{place}/{RECORD}: is not a record ({error}); delete the folder and make it anew"
        ) from None
    if stated != contents:
        raise ArtifactError(
            f"{place}/{RECORD}: its fingerprint {stated[:12]} does not match its contents ({contents[:12]}): "
            "the record was edited or was written by another version; delete the folder and make it anew"
        )
    return record


def require(place: Place, noun: str) -> Record:
    """The record of a complete, undamaged artifact of this noun; raises ArtifactError otherwise."""
    record = read_record(place)
    if record is None:
        raise ArtifactError(f"{place}: no complete {noun} here; run the recipe that makes it")
    if record.noun != noun:
        raise ArtifactError(f"{place}: is {record.noun}, not {noun}")
    check_files(place, record)
    return record


def check_files(place: Place, record: Record) -> None:
    """Raise ArtifactError where a file of the artifact is missing or not as long as its record says."""
    found = place.sizes()
    for name, size in record.files.items():
        if found.get(name) != size:
            raise ArtifactError(
                f"{place}/{name}: has {found.get(name, 'no')} bytes, its record says {size}: "
                "the file is truncated or missing; delete the folder and make it anew"
            )


def require_input(store: Store, record: Record, role: str) -> Place:
    """Where an input of an artifact lies; raises ArtifactError where another has taken its address since."""
    entry = record.inputs[role]
    place = store.place(Address.parse(entry["address"]))
    found = require(place, role).fingerprint
    if found != entry["fingerprint"]:
        raise ArtifactError(
            f"{place}: has the fingerprint {found[:12]}, {record.address} was made from {entry['fingerprint'][:12]}; "
            f"make {record.address} anew from what is here: unisid drop {record.address}, then run its recipe"
        )
    return place


def find(store: Store, noun: str, wanted: str) -> Address | None:
    """An address that holds a whole artifact with this fingerprint, if any, to be shared. A damaged one is not."""
    for address in store.addresses(noun):
        with contextlib.suppress(ArtifactError):
            record = read_record(place := store.place(address))
            if record is not None and record.fingerprint == wanted:
                check_files(place, record)
                return address
    return None


def shared_as(store: Store, address: Address) -> Address | None:
    """Where the artifact lies that a run shares instead of making its own: what it did make names it as an input."""
    todo, seen = [Address(noun, address.name, address.version) for noun in NOUNS], set[Address]()
    while todo:
        known = todo.pop()
        if known in seen:
            continue
        seen.add(known)
        with contextlib.suppress(ArtifactError):  # a damaged one names nothing
            record = read_record(store.place(known))
            given = record.inputs if record is not None else {}
            if address.noun in given:
                return Address.parse(given[address.noun]["address"])
            todo += [Address.parse(given[role]["address"]) for role in given if role in NOUNS]
    return None
