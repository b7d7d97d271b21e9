"""Compares every file of an artifact with the size and checksum in its record: `unisid verify`."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from unisid.artifacts.record import check_files, read_record
from unisid.artifacts.store import Place
from unisid.artifacts.sums import known
from unisid.errors import ArtifactError, UnreadableError

THREADS = 4
"""Files that are read at the same time: from afar, one alone waits more than it reads."""


@dataclass(frozen=True)
class Verified:
    """What was found at a place."""

    files: int
    """How many its record names."""
    size: int
    """Bytes of all of them."""
    unsummed: int
    """Files whose sizes alone were compared: they have no checksum, or one of a kind that is not known here."""
    state: str
    """In a word or a sentence."""
    damaged: bool
    unreadable: bool = False
    """A newer version wrote it, or it may not be read: not checked, and not known to be damaged."""


def verify(place: Place) -> Verified:
    """Read every byte of an artifact and compare."""
    try:
        record = read_record(place)
        if record is None:
            return Verified(0, 0, 0, "half made", damaged=False)
        check_files(place, record)
        summed = {name: checksum for name, checksum in record.sums.items() if known(checksum)}
        with ThreadPoolExecutor(THREADS) as pool:
            found = dict(zip(summed, pool.map(place.checksum, summed), strict=True))
    except UnreadableError as error:
        return Verified(0, 0, 0, f"cannot be read: {error}", damaged=False, unreadable=True)
    except ArtifactError as error:
        return Verified(0, 0, 0, f"damaged: {error}", damaged=True)
    changed = [name for name in summed if found[name] != summed[name]]
    without = len(record.files) - len(summed)
    state = "whole" if not without else f"whole by size; {without} files have no checksum"
    if changed:
        state = f"damaged: {', '.join(changed)}: changed since they were written"
    return Verified(len(record.files), sum(record.files.values()), without, state, damaged=bool(changed))
