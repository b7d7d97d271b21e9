"""Reading an artifact's files: the bytes are compared with the checksum of its record when a process first reads them.

Once a process and file, that is: again only where the file has changed since. `UNISID_VERIFY=never` leaves it out, for
files so large that a reader cannot afford one pass (decision 6); `unisid verify` then does it separately.
"""

import contextlib
import contextvars
import os
import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from unisid.artifacts.record import read_record, remedy
from unisid.artifacts.record_json import RECORD
from unisid.artifacts.store import Place, Stamp
from unisid.artifacts.sums import checksum, known
from unisid.errors import ArtifactError, ConfigError, UnreadableError

SETTING = "UNISID_VERIFY"
SETTLED = 2_000_000_000
"""Nanoseconds after which a file that changes again is sure to have another time of change."""
_seen: dict[tuple[str, str], Stamp] = {}
"""The files that this process has compared, as they were then."""
_sums: dict[str, tuple[Stamp, dict[str, str]]] = {}
"""The checksums of the records that this process has read, by place, and the record's stamp."""

_comparing = contextvars.ContextVar("comparing", default=True)


def contents(place: Place, name: str) -> bytes:
    """All bytes of a file. Raises ArtifactError where they are not those that were written."""
    data = place.read(name)
    check(place, name, pa.BufferReader(data))
    return data


def opened(place: Place, name: str) -> Any:
    """A seekable input, memory-mapped where the place is local.

    Raises:
        ArtifactError: its bytes are not those that were written.
    """
    first = not place.is_local and _wanted(place, name) is not None
    source = place.mapped(name) if first else place.open(name)  # from afar it comes once, not for the checksum alone
    check(place, name, source)
    return source


def check(place: Place, name: str, source: Any) -> None:
    """Raise ArtifactError where the bytes of an input are not those that were written under this name."""
    wanted = _wanted(place, name)
    if wanted is None:
        return
    at, stamp = source.tell(), place.stamp(name)
    source.seek(0)
    found = checksum(source)
    source.seek(at)
    if found != wanted:
        raise damaged(
            place, name, f"its bytes have changed since they were written (checksum {found}, its record says {wanted})"
        )
    if stamp is not None and _settled(place, stamp):
        _seen[place.uri, name] = stamp


@contextlib.contextmanager
def whole(place: Place, name: str, what: str) -> Iterator[None]:
    """Inside, every error of a format's reader becomes an ArtifactError that names the file."""
    try:
        yield
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        OverflowError,
        RecursionError,
        RuntimeError,
    ) as error:
        why = " ".join(str(error).split())
        if isinstance(error, OSError) and (error.errno or not place.is_local):
            raise UnreadableError(
                f"{place}/{name}: cannot be read ({why}); a file that you may read is needed"
            ) from None
        raise damaged(place, name, f"is not {what} ({why})") from None


def damaged(place: Place, name: str, why: str) -> ArtifactError:
    """The error for a file that is not what it should be, with what helps."""
    if place.exists(RECORD):
        return ArtifactError(f"{place}/{name}: {why}; {remedy(place)}")
    return ArtifactError(
        f"{place}/{name}: {why}; delete this file and run the stage again, which makes only what is missing"
    )


@contextlib.contextmanager
def unverified() -> Iterator[None]:
    """Inside, checksums are not compared: for tools that show what has changed."""
    token = _comparing.set(False)
    try:
        yield
    finally:
        _comparing.reset(token)


def verifies() -> bool:
    """Whether this process compares what it reads; raises ConfigError where UNISID_VERIFY is neither once nor never."""
    said = os.environ.get(SETTING) or "once"
    if said not in ("once", "never"):
        raise ConfigError(f"{SETTING}: '{said}' must be once or never")
    return said == "once" and _comparing.get()


def _wanted(place: Place, name: str) -> str | None:
    """The checksum that a file should have, or None where there is nothing to compare, or no need to."""
    if not verifies() or ((place.uri, name) in _seen and _seen[place.uri, name] == place.stamp(name)):
        return None
    checksum = _recorded(place).get(name)
    return checksum if checksum is not None and known(checksum) else None


def _recorded(place: Place) -> dict[str, str]:
    stamp = place.stamp(RECORD)
    if place.uri in _sums and _sums[place.uri][0] == stamp:
        return _sums[place.uri][1]
    record = read_record(place) if stamp is not None else None
    sums = record.sums if record is not None else {}
    if stamp is not None and _settled(place, stamp):
        _sums[place.uri] = stamp, sums
    return sums


def _settled(place: Place, stamp: Stamp) -> bool:
    """Whether the same stamp means the same bytes from now on."""
    return stamp[1] > 0 and (not place.is_local or time.time_ns() - stamp[1] > SETTLED)
