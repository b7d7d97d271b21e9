"""What the stages that extend an artifact share: the version they go on from, and its files, taken over unchanged.

`<noun>/extend.py` makes version n + 1 of a noun: the rows of its base as they are, then those of new items. Its
settings are those of the noun's own stage with `base`, whose fingerprint is part of what is made.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from unisid.artifacts.reading import opened
from unisid.artifacts.record import require
from unisid.artifacts.shards import Shards, shard_indices, shard_name, shard_parts
from unisid.artifacts.store import Address, Place, Store
from unisid.bounds import Settings
from unisid.compute import Part
from unisid.config import Json, runtime
from unisid.errors import ArtifactError, ConfigError


@dataclass(frozen=True, kw_only=True)
class Base(Settings):
    """An artifact that another goes on from."""

    fingerprint: str = ""
    """What it was made from; another that has taken its place since is refused. Empty: of what lies at `address`."""
    address: str = runtime("")
    """What it is called."""
    place: str = runtime("")
    """Where it lies."""

    @classmethod
    def of(cls, place: Place, noun: str) -> "Base":
        """Raises ArtifactError where no complete artifact of this noun is."""
        record = require(place, noun)
        return cls(fingerprint=record.fingerprint, address=record.address, place=place.uri)

    @classmethod
    def parse(cls, text: str) -> "Base":
        """Of an address; raises ConfigError where it is none."""
        return cls(address=str(Address.parse(text)))

    def found(self, store: Store, noun: str) -> "Base":
        """With everything said that only its address said so far; raises ArtifactError where nothing lies there."""
        if self.fingerprint and self.place:
            return self
        place = store.place(Address.parse(self.address))
        return replace(self, place=place.uri) if self.fingerprint else Base.of(place, noun)

    def source(self) -> Json:
        """Its entry in a record."""
        return {"address": self.address, "fingerprint": self.fingerprint}

    def open(self, noun: str) -> Place:
        """Where it lies; raises ArtifactError where it has been replaced."""
        place = Place(self.place)
        found = require(place, noun).fingerprint
        if found != self.fingerprint:
            raise ArtifactError(
                f"{self.address}: has the fingerprint {found[:12]}, {self.fingerprint[:12]} is to be "
                "gone on from; give that its own name again, or go on from what is there now"
            )
        return place


def base_of(base: Base | None) -> Base:
    """The base that settings name; raises ConfigError where they name none."""
    if base is None:
        raise ConfigError("index extend: the settings name no base to go on from; give the address of one")
    return base


def take_over(source: Place, out: Place, names: Iterable[str]) -> None:
    """Copy files that are not there yet; each appears whole or not at all."""
    present = out.sizes()
    for name in names:
        if name not in present:
            opened(source, name).close()  # damage must not be handed on
            out.take(name, source)


def take_shards(source: Place, out: Place, family: str) -> None:
    """Copy the shards of a family that are not there yet."""
    take_over(source, out, (shard_name(family, index) for index in shard_indices(source, family)))


def further_parts(base: Shards, out: Place, num_rows: int, shard_rows: int) -> list[Part]:
    """The parts of the rows that the base lacks whose shards are not there yet; shards are numbered after the base's.

    The base's last shard may be short, for no reader finds a row by the length of a shard.
    """
    rows, shards, present = len(base), len(base.tables), set(shard_indices(out, base.family))
    parts = shard_parts(num_rows - rows, shard_rows)
    moved = [{"shard": p["shard"] + shards, "start": p["start"] + rows, "stop": p["stop"] + rows} for p in parts]
    return [part for part in moved if part["shard"] not in present]
