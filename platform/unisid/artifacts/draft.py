"""An artifact while it is made: a folder of its own, by the fingerprint it is made for, which becomes the artifact.

What other settings left half made lies in another folder, so no file of it can be counted in; what a process of a run
that is over still writes goes there too.
"""

import contextlib
from collections.abc import Iterator

from unisid.artifacts.filesystems import LARGEST_COPY
from unisid.artifacts.record import RECORD, Record, check_files, read_record
from unisid.artifacts.store import Address, Place, Store
from unisid.errors import ArtifactError, UnreadableError


def begin(store: Store, address: Address, fingerprint: str) -> Place:
    """The draft to go on with: what is half made of other settings is removed, and files that were half written."""
    draft = store.draft(address, fingerprint)
    discard(store, address, but=draft)
    sweep(draft)
    return draft


def discard(store: Store, address: Address, but: Place | None = None) -> None:
    """Remove what is half made under an address. Where a process of a run that is over still writes, it stays: it is
    counted in nowhere, and removed the next time."""
    for draft in store.drafts(address):
        if draft != but:
            with contextlib.suppress(ArtifactError):
                draft.clear()


def recorded(draft: Place, fingerprint: str) -> Record | None:
    """The record of a draft that is whole and was only not moved yet; any other record is removed."""
    try:
        record = read_record(draft)
        if record is not None and record.fingerprint == fingerprint:
            check_files(draft, record)
            return record
    except UnreadableError:
        raise
    except ArtifactError:
        pass
    draft.remove(RECORD)
    return None


def finish(draft: Place, target: Place) -> None:
    """Make a draft with its record the artifact: on a disk in one step, elsewhere file by file, the record last.

    What lies at the target without a record is removed first.
    """
    sweep(draft)
    draft.forget_sums()
    target.clear()
    if draft.is_local:
        with _written(target):
            draft.filesystem[0].move(draft.filesystem[1], target.filesystem[1])
        return
    for folder in draft.folders():
        _copy(draft / folder, target / folder)
    _copy(draft, target)
    target.forget_sums()  # of files that were sent again: the record has them
    draft.clear()


def sweep(place: Place) -> None:
    """Remove files that were half written when their process died."""
    for name in place.hidden():
        if name.endswith(".tmp"):
            with contextlib.suppress(ArtifactError):  # its writer removed it just now
                place.remove(name)


def _copy(source: Place, target: Place) -> None:
    """The files of a folder, the record last; the store copies them itself where it can."""
    sizes = source.sizes()
    fs, path = source.filesystem
    for name in sorted(sizes, key=lambda name: name == RECORD):
        if sizes[name] > LARGEST_COPY:
            target.take(name, source)
            continue
        with _written(target / name):
            fs.create_dir(target.filesystem[1], recursive=True)
            fs.copy_file(f"{path}/{name}", f"{target.filesystem[1]}/{name}")


@contextlib.contextmanager
def _written(place: Place) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArtifactError(
            f"{place}: cannot be written ({error}); free space or rights are needed, "
            "or another place for the store (--store)"
        ) from error
