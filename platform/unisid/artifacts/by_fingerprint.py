"""Which addresses hold an artifact of a fingerprint, without reading every record of its noun.

Beside the artifacts lies `by-fingerprint/NOUN/FINGERPRINT/NAME@VERSION`, an empty file for each of them, written before
the record is. It says where to look; the record says what is there. So an entry without such a record (of what is not
complete yet, was removed, or was made anew from other settings) does no harm. The file `scanned` of a noun says that
all artifacts from before there were entries have theirs; the whole folder may be removed, and is then made again.
"""

import contextlib

from unisid.artifacts.store import Address, Place, Store
from unisid.errors import ArtifactError

FOLDER, SCANNED = "by-fingerprint", "scanned"


def enter(place: Place, fingerprint: str) -> None:
    """Note that an artifact of a fingerprint lies or is made at a place of a store; nothing for other places."""
    if (address := place.address) is not None:
        folder = _folder(place.parent.parent.parent, address.noun, fingerprint)
        if not folder.exists(_entry(address)):  # what is there is left untouched
            folder.write(_entry(address), b"")


def leave(store: Store, address: Address, fingerprint: str) -> None:
    """Remove the entry of an artifact that lies there no more."""
    with contextlib.suppress(ArtifactError):  # it does no harm
        _folder(store.root, address.noun, fingerprint).remove(_entry(address))


def noted(store: Store, noun: str, fingerprint: str) -> list[Address]:
    """The addresses at which there may be an artifact of a fingerprint."""
    entries = (name.partition("@") for name in _folder(store.root, noun, fingerprint).sizes())
    return [Address(noun, name, version) for name, _, version in entries]


def is_scanned(store: Store, noun: str) -> bool:
    """Whether an artifact without an entry can only have been put there by hand."""
    return (store.root / FOLDER / noun).exists(SCANNED)


def enter_all(store: Store, noun: str, fingerprints: dict[Address, str]) -> None:
    """Note all artifacts of a noun, as a scan found them; nothing happens in a store that may not be written."""
    with contextlib.suppress(ArtifactError):
        for address, fingerprint in fingerprints.items():
            enter(store.place(address), fingerprint)
        if fingerprints:
            (store.root / FOLDER / noun).write(SCANNED, b"")


def _folder(root: Place, noun: str, fingerprint: str) -> Place:
    return root / FOLDER / noun / fingerprint


def _entry(address: Address) -> str:
    return f"{address.name}@{address.version}"
