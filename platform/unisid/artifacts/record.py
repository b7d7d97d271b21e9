"""The record of an artifact: what made it. It is written last: its presence is completeness.

The fingerprint covers the noun, the settings that bear identity and the inputs' fingerprints; so it is known
before anything runs, and two artifacts with one fingerprint are interchangeable.
"""

import contextlib
import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unisid.artifacts import by_fingerprint, record_json
from unisid.artifacts.order import moment, next_order
from unisid.artifacts.roles import noun_of
from unisid.artifacts.store import NOUNS, Address, Place, Store
from unisid.config import Json, fingerprint
from unisid.errors import ArtifactError
from unisid.masked import masked

RECORD = record_json.RECORD
IDENTITY = 1
"""Part of every fingerprint. It is not the format: what exists keeps its identity when formats change."""
DATA = (".parquet", ".arrow")
"""Files that are read because they lie there: one that no record names would be read too."""


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
    sums: dict[str, str] = field(default_factory=dict, compare=False)
    """The files' checksums, as `write_record` found them; none in what was made before there were any."""
    order: int = field(default=0, compare=False)
    """How many artifacts of this noun the store had seen when this one was complete; 0 where that was not counted."""
    code_version: str = ""
    seconds: float = 0.0
    created: str = ""
    runtime: Json = field(default_factory=dict)
    """The settings that bear no identity: how it was made."""
    machine: str = ""
    """What it was made on, in words; empty in what was made before that was noted."""
    memory: Json = field(default_factory=dict)
    """Bytes that the work held: `before` it began and at its `peak`, and `device`: the most of each worker's GPU. None
    where that was not measured."""
    format: int = record_json.FORMAT
    """The generation of the on-disk formats that it was written in."""
    further: Json = field(default_factory=dict)
    """What a newer version of unisid wrote besides."""

    @property
    def noun(self) -> str:
        return self.address.split("/")[0]

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.noun, self.config, self.inputs)

    @property
    def settings(self) -> Json:
        """All settings, those of identity and the others, as one tree."""
        tree: Json = _copied(self.config)
        for key, value in self.runtime.items():
            *sections, name = key.split(".")
            inner = tree
            for section in sections:
                inner = inner.setdefault(section, {})
            inner[name] = value
        return tree

    def count(self, name: str) -> int:
        """A whole number of `counts`; raises ArtifactError where it is none."""
        return self._whole_number("counts", self.counts, name)

    def figure(self, *path: str) -> float:
        """A number of `counts`, by the names that lead to it; raises ArtifactError where it is none."""
        value: float = self._within((int, float), "a number", path)
        return value

    def figures(self, *path: str) -> list[float]:
        """Numbers of `counts`; raises ArtifactError where they are none."""
        values: list[Any] = self._within(list, "numbers", path)
        for value in values:
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise self._wrong(values, "numbers", path)
        return values

    def part(self, *path: str) -> Json:
        """Names and values of `counts`; raises ArtifactError where they are none."""
        value: Json = self._within(dict, "names and values", path)
        return value

    def _within(self, kind: type | tuple[type, ...], right: str, path: tuple[str, ...]) -> Any:
        value: Any = self.counts
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self._wrong(value, right, path)
        return value

    def _wrong(self, value: Any, right: str, path: tuple[str, ...]) -> ArtifactError:
        return ArtifactError(
            f"{self.address}/{RECORD}: counts.{'.'.join(path)} is {value!r:.60}, must be {right}; "
            f"{remedy(self.address)}"
        )

    def setting(self, name: str) -> int:
        """A whole number of `config`; raises ArtifactError where it is none."""
        return self._whole_number("config", self.config, name)

    def _whole_number(self, part: str, of: Json, name: str) -> int:
        value = of.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ArtifactError(
                f"{self.address}/{RECORD}: {part}.{name} is {value!r}, must be a whole number; {remedy(self.address)}"
            )
        return value


def fingerprint_of(noun: str, config: Mapping[str, Any], inputs: Mapping[str, Mapping[str, Any]]) -> str:
    """The identity of an artifact that is to be made, or was."""
    roles = {role: entry["fingerprint"] for role, entry in inputs.items()}
    return fingerprint({"format": IDENTITY, "noun": noun, "config": config, "inputs": roles})


def write_record(place: Place, record: Record) -> None:
    """Complete an artifact: everything else must be on disk before this. Checksums and order are those of the place."""
    by_fingerprint.enter(place, record.fingerprint)
    made = dataclasses.replace(record, sums=place.sums(record.files), order=next_order(place))
    place.write(RECORD, record_json.text(as_json(made)))
    place.forget_sums()


def as_json(record: Record) -> Json:
    """A record as it lies on disk; secrets in the URIs of data are masked."""
    body = dataclasses.asdict(record) | {"fingerprint": record.fingerprint}
    body |= {part: json.loads(masked(json.dumps(body[part]))) for part in ("inputs", "runtime")}
    return body | body.pop("further")


def newest_first(store: Store, noun: str, most: int) -> list[Record]:
    """The records of a noun, the latest first; of more than so many, those whose files changed last.

    What cannot be read is left out.
    """
    places = [store.place(address) for address in store.addresses(noun)]
    if len(places) > most:
        changed = {place: stamp[1] if (stamp := place.stamp(RECORD)) is not None else 0 for place in places}
        places = sorted(places, key=lambda place: changed[place], reverse=True)[:most]
    found = []
    for place in places:
        with contextlib.suppress(ArtifactError):
            found += [record] if (record := read_record(place)) is not None else []
    return sorted(found, key=moment, reverse=True)


def read_record(place: Place) -> Record | None:
    """The record at a place, or None where no complete artifact is.

    Raises:
        UnreadableError: a newer version of unisid wrote it.
        ArtifactError: what lies there is no record, or is not as it was written.
    """
    if not place.exists(RECORD):
        return None
    where = f"{place}/{RECORD}"
    try:
        body = record_json.parsed(place.read(RECORD), where)
        stated, sealed = body.pop("fingerprint"), body.pop(record_json.SEAL, None)
        record = _of(body)
        contents = record.fingerprint
    except ValueError as error:
        raise ArtifactError(f"{where}: is not a record ({error}); {remedy(place)}") from None
    if stated != contents:
        raise ArtifactError(
            f"{where}: its fingerprint {stated[:12]} does not match its contents ({contents[:12]}): "
            f"the record was edited or damaged; {remedy(place)}"
        )
    if sealed is not None and sealed != record_json.seal(body):
        raise ArtifactError(
            f"{where}: its seal {sealed} does not match its contents ({record_json.seal(body)}): "
            f"the record was edited or damaged; {remedy(place)}"
        )
    return record


def _of(body: Json) -> Record:
    names = {field.name for field in dataclasses.fields(Record)} - {"further"}
    known = {name: value for name, value in body.items() if name in names}
    return Record(**known, further={name: value for name, value in body.items() if name not in names})


def remedy(at: Place | str) -> str:
    """The command that remedies a damaged artifact, for messages."""
    address = at.address if isinstance(at, Place) else at
    if address is None:
        return "delete the folder and make it anew, or put back a copy"
    return f"make it anew: unisid drop {address}, then run its recipe; or put back a copy"


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
    """Raise ArtifactError where a file is missing, is not as long as the record says, or is none of the artifact's."""
    found = place.sizes()
    for name, size in record.files.items():
        if found.get(name) != size:
            raise ArtifactError(
                f"{place}/{name}: has {found.get(name, 'no')} bytes, its record says {size}: "
                f"the file is truncated or missing; {remedy(place)}"
            )
    for name in found.keys() - record.files.keys():
        if record.files and name.endswith(DATA):
            raise ArtifactError(
                f"{place}/{name}: is none of the files that {RECORD} names, and would be read with them; remove it"
            )


def require_input(store: Store, record: Record, role: str) -> Place:
    """Where an input of an artifact lies; raises ArtifactError where another has taken its address since."""
    if (entry := record.inputs.get(role)) is None:
        raise ArtifactError(
            f"{record.address}/{RECORD}: names no {role} that it was made from; {remedy(record.address)}"
        )
    place = store.place(Address.parse(entry["address"]))
    found = require(place, noun_of(role)).fingerprint
    if found != entry["fingerprint"]:
        raise ArtifactError(
            f"{place}: has the fingerprint {found[:12]}, {record.address} was made from {entry['fingerprint'][:12]}; "
            f"make {record.address} anew from what is here: unisid drop {record.address}, then run its recipe"
        )
    return place


def find(store: Store, noun: str, wanted: str) -> Address | None:
    """An address that holds a whole artifact with this fingerprint, if any, to be shared. A damaged one is not."""
    noted = by_fingerprint.noted(store, noun, wanted)
    if (found := next((address for address in noted if _holds(store, address, wanted)), None)) is not None:
        return found
    if by_fingerprint.is_scanned(store, noun):
        return None
    there: dict[Address, str] = {}
    for address in store.addresses(noun):
        with contextlib.suppress(ArtifactError):
            if (record := read_record(store.place(address))) is not None:
                there[address] = record.fingerprint
    by_fingerprint.enter_all(store, noun, there)
    return next((a for a, known in there.items() if known == wanted and _holds(store, a, wanted)), None)


def _holds(store: Store, address: Address, wanted: str) -> bool:
    """Whether a whole artifact of this fingerprint lies at an address; an entry that says so wrongly is removed."""
    place = store.place(address)
    with contextlib.suppress(ArtifactError):
        if (record := read_record(place)) is None:
            return False  # it may be being made
        if record.fingerprint != wanted:
            by_fingerprint.leave(store, address, wanted)
            return False
        check_files(place, record)
        return True
    return False


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
            todo += [Address.parse(given[role]["address"]) for role in given if noun_of(role) in NOUNS]
    return None


def _copied(tree: Mapping[str, Any]) -> Json:
    return {name: _copied(value) if isinstance(value, Mapping) else value for name, value in tree.items()}
