"""The checkpoints of one fit: directories `<work>/<name>/checkpoint-<n>` on any file system; n is the report's number.
One that was made on the way to report n, after k further steps, is `checkpoint-<n>.<k>`.

A checkpoint is whole when it holds the file `complete`, which is written last; on a local disk the whole directory
is renamed into place besides. Only the newest is kept. The names are a function of the fit's own position, so work
that is done again after a crash overwrites and never leaves a twin.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow.fs as pafs

from unisid.artifacts.store import Place
from unisid.errors import ArtifactError

COMPLETE = "complete"


class Position(NamedTuple):
    """How far a fit was when a checkpoint was made; the greater is the newer."""

    reports: int
    """Reports that it had made."""
    steps: int = 0
    """What it had done since, in a unit of the fit's own; 0 where the checkpoint came with the last report."""

    @property
    def folder(self) -> str:
        return f"checkpoint-{self.reports:06d}.{self.steps}" if self.steps else f"checkpoint-{self.reports - 1:06d}"

    @classmethod
    def of(cls, folder: str) -> "Position":
        """The position that a folder's name says."""
        number, _, steps = folder.rpartition("-")[2].partition(".")
        return cls(int(number), int(steps)) if steps else cls(int(number) + 1)


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of the fit `name` at `work`."""

    work: Place
    name: str

    @property
    def place(self) -> Place:
        return self.work / self.name.replace("/", "_")

    def last(self) -> Position | None:
        """The position of the newest whole checkpoint."""
        whole = [found for found in self._found() if (self.place / found.folder).exists(COMPLETE)]
        return max(whole, default=None)

    def commit(self, position: Position, save: Callable[[Path], None]) -> None:
        """Let `save` write into a fresh directory, make it the checkpoint at this position, and drop every other one.

        Raises:
            ArtifactError: the file system is full or read-only.
        """
        try:
            if self.place.is_local:
                self._rename(position, save)
            else:
                self._upload(position, save)
            for old in self._found():
                if old != position:
                    (self.place / old.folder).clear()
        except OSError as error:
            raise ArtifactError(
                f"{self.place}: {position.folder} cannot be written ({error}); free space or rights "
                "are needed, or another place for the store (--store)"
            ) from error

    def fetch(self, position: Position, scratch: Path) -> Path:
        """A local directory with a checkpoint's files: the checkpoint itself where the place is local, or `scratch`."""
        return (self.place / position.folder).fetch(scratch)

    def _found(self) -> list[Position]:
        return [Position.of(folder) for folder in self.place.folders() if folder.startswith("checkpoint-")]

    def _rename(self, position: Position, save: Callable[[Path], None]) -> None:
        folder = Path(self.place.filesystem[1])
        folder.mkdir(parents=True, exist_ok=True)
        draft, target = folder / f".draft-{position.folder}", folder / position.folder
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        save(draft)
        (draft / COMPLETE).touch()
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(target)
        draft.rename(target)

    def _upload(self, position: Position, save: Callable[[Path], None]) -> None:
        target = self.place / position.folder
        fs, path = target.filesystem
        with tempfile.TemporaryDirectory(prefix="unisid-checkpoint-") as draft:
            save(Path(draft))
            target.clear()
            fs.create_dir(path, recursive=True)
            pafs.copy_files(draft, path, destination_filesystem=fs)
        target.write(COMPLETE, b"")
