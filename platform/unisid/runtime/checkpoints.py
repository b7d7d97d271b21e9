"""The checkpoints of one fit: directories `<work>/<name>/checkpoint-<n>` on any file system; n is the report's number.

A checkpoint is whole when it holds the file `complete`, which is written last; on a local disk the whole directory
is renamed into place besides. Only the newest is kept. The names are a function of the fit's own progress, so work
that is done again after a crash overwrites and never leaves a twin.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs as pafs

from unisid.artifacts.store import Place
from unisid.errors import ArtifactError

COMPLETE = "complete"


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of the fit `name` at `work`."""

    work: Place
    name: str

    @property
    def place(self) -> Place:
        return self.work / self.name.replace("/", "_")

    def last(self) -> int | None:
        """The number of the newest whole checkpoint."""
        whole = [n for n in self._numbers() if (self.place / _folder(n)).exists(COMPLETE)]
        return max(whole, default=None)

    def commit(self, number: int, save: Callable[[Path], None]) -> None:
        """Let `save` write into a fresh directory, make it checkpoint `number`, and drop every other one.

        Raises:
            ArtifactError: the file system is full or read-only.
        """
        try:
            if self.place.is_local:
                self._rename(number, save)
            else:
                self._upload(number, save)
            for old in self._numbers():
                if old != number:
                    (self.place / _folder(old)).clear()
        except OSError as error:
            raise ArtifactError(
                f"{self.place}: checkpoint {number} cannot be written ({error}); free space or rights "
                "are needed, or another place for the store (--store)"
            ) from error

    def fetch(self, number: int, scratch: Path) -> Path:
        """A local directory with a checkpoint's files: the checkpoint itself where the place is local, or `scratch`."""
        return (self.place / _folder(number)).fetch(scratch)

    def _numbers(self) -> list[int]:
        return [int(f.rpartition("-")[2]) for f in self.place.folders() if f.startswith("checkpoint-")]

    def _rename(self, number: int, save: Callable[[Path], None]) -> None:
        folder = Path(self.place.filesystem[1])
        folder.mkdir(parents=True, exist_ok=True)
        draft, target = folder / f".draft-{number}", folder / _folder(number)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        save(draft)
        (draft / COMPLETE).touch()
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(target)
        draft.rename(target)

    def _upload(self, number: int, save: Callable[[Path], None]) -> None:
        target = self.place / _folder(number)
        fs, path = target.filesystem
        with tempfile.TemporaryDirectory(prefix="unisid-checkpoint-") as draft:
            save(Path(draft))
            target.clear()
            fs.create_dir(path, recursive=True)
            pafs.copy_files(draft, path, destination_filesystem=fs)
        target.write(COMPLETE, b"")


def _folder(number: int) -> str:
    return f"checkpoint-{number:06d}"
