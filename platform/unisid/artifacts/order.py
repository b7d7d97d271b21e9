"""Which artifact of a noun is the newest: by a counter, not by a clock, which may be set back.

Every store keeps a number a noun, in the file `.order`; each artifact that becomes complete takes the next one.
"""

import contextlib
import datetime
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from unisid.artifacts.record_json import RECORD
from unisid.artifacts.store import Address, Place
from unisid.errors import ArtifactError

if TYPE_CHECKING:
    from unisid.artifacts.record import Record

COUNT = ".order"


def next_order(place: Place) -> int:
    """The number of the artifact that is completed at a place of a store; 0 where it is no place of a store.

    Two runs that end at the same moment may take the same number: between them the time decides.
    """
    if place.address is None:
        return 0
    folder = place.parent.parent
    number = 1 + (_counted(folder) or _highest(folder))
    folder.write(COUNT, str(number).encode())
    return number


def newest(records: Mapping[Address, "Record"]) -> Address:
    """The artifact of one noun that was completed last.

    One that another was made from is older than that, whatever else is said. Then the count decides; then the time;
    then the version. What was made before there was a count is older than what has one.
    """
    older = {entry["fingerprint"] for record in records.values() for entry in record.inputs.values()}
    latest = {address: record for address, record in records.items() if record.fingerprint not in older} or records
    return max(latest, key=lambda a: (*moment(latest[a]), _natural(a.version), a))


def moment(record: "Record") -> tuple[int, float]:
    """When an artifact was completed, to be compared with others of its noun: by the count, then by the time."""
    return record.order, _instant(record.created)


def _counted(folder: Place) -> int:
    with contextlib.suppress(ValueError):
        return int(folder.read(COUNT)) if folder.exists(COUNT) else 0
    return 0


def _highest(folder: Place) -> int:
    """The highest number in the records themselves: where the count is missing."""
    found = [0]
    for name in folder.folders():
        for version in (folder / name).folders():
            with contextlib.suppress(ArtifactError, ValueError, TypeError):
                place = folder / name / version
                if place.exists(RECORD):
                    found.append(int(json.loads(place.read(RECORD)).get("order", 0)))
    return max(found)


def _instant(created: str) -> float:
    """Seconds since 1970; what is no time is older than any."""
    try:
        time = datetime.datetime.fromisoformat(created)
        return (time if time.tzinfo else time.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError):
        return float("-inf")


def _natural(version: str) -> list[tuple[bool, int, str]]:
    """Numbers by value: version 10 comes after 9."""
    parts = re.findall(r"\d+|\D+", version)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]
