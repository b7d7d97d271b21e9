"""Where artifacts live: addresses, places on any pyarrow or fsspec file system, and the store of both.

A `Place` is a directory on a file system. It is a plain string inside, so it travels to workers as it is. What a URI
says after `?` (s3://bucket/folder?region=eu-west-1&endpoint_override=http://host:9000) is how to reach the file
system: every place below has it too. Passwords belong in the environment, not there; those that are given are masked
wherever a URI is shown or recorded.

A file's checksum is computed while it is written, by whichever process writes it, and left as the name of an empty file
in `.sums` before the file itself appears; the record takes it from there (decision 6).
"""

import contextlib
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from unisid.artifacts.filesystems import filesystem_of, give_name, split_uri
from unisid.artifacts.nouns import NOUNS as NOUNS
from unisid.artifacts.sums import BLOCK, LEFT, Summed, checksum, left_as, left_there
from unisid.config import did_you_mean
from unisid.errors import ArtifactError, ConfigError, UnreadableError
from unisid.masked import masked

Stamp = tuple[int, int]
"""Size in bytes and time of change in nanoseconds, 0 where the file system keeps none."""


@dataclass(frozen=True, order=True)
class Address:
    """The name of an artifact: noun/name/version, such as codes/beauty/1."""

    noun: str
    name: str
    version: str

    def __post_init__(self) -> None:
        if self.noun not in NOUNS:
            raise ConfigError(f"address '{self}': no artifact is called '{self.noun}'"
                              f"{did_you_mean(self.noun, NOUNS)}; known: {', '.join(NOUNS)}")  # fmt: skip
        for part in (self.name, self.version):
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", part):
                raise ConfigError(f"address '{self}': '{part}' must be letters, digits, '.', '_' or '-'")

    @classmethod
    def parse(cls, text: str) -> "Address":
        """'codes/beauty/1' -> Address; the version may be left out and is then '1'."""
        parts = text.strip("/").split("/")
        if len(parts) == 2:
            parts.append("1")
        if len(parts) != 3:
            raise ConfigError(f"address '{text}': must be noun/name/version, such as codes/demo/1")
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.noun}/{self.name}/{self.version}"


@dataclass(frozen=True)
class Place:
    """A directory on a file system, by absolute local path or URI (s3://bucket/folder, gs://..., memory://)."""

    uri: str

    @classmethod
    def of(cls, path: str | Path) -> "Place":
        """A place from a user's path: relative local paths become absolute, URIs stay.

        Raises ConfigError for a path that no file system has: with a zero byte or bytes that are not UTF-8, or a URI
        of nothing.
        """
        text = str(path)
        if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            raise ConfigError(f"path '{text}': has a zero byte or bytes that are not UTF-8 in it; give one in UTF-8")
        if "://" not in text:
            return cls(str(Path(text).expanduser().absolute()))
        folder, options = split_uri(text)
        if not folder.partition("://")[2].strip("/"):
            raise ConfigError(f"path '{text}': names nothing after '://'; give a bucket or a folder")
        return cls(folder.rstrip("/") + options)

    def __truediv__(self, name: str) -> "Place":
        folder, options = split_uri(self.uri)
        return Place(f"{folder}/{name}{options}")

    def __str__(self) -> str:
        """The URI as it may be shown: without its secrets."""
        return masked(self.uri)

    def __repr__(self) -> str:
        return f"Place({str(self)!r})"

    @property
    def name(self) -> str:
        return split_uri(self.uri)[0].rpartition("/")[2]

    @property
    def address(self) -> Address | None:
        """The artifact that lies or is made here, by the last three folders; None where they are no address."""
        parts = split_uri(self.uri)[0].split("/")[-3:]
        with contextlib.suppress(ConfigError, ValueError):
            noun, name, last = parts
            return Address(noun, name, _version_of(last) or last)
        return None

    @property
    def parent(self) -> "Place":
        folder, options = split_uri(self.uri)
        return Place(folder.rpartition("/")[0] + options)

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem[0], pafs.LocalFileSystem)

    @property
    def filesystem(self) -> tuple[pafs.FileSystem, str]:
        """The file system and this place's path on it."""
        return filesystem_of(self.uri)

    def exists(self, name: str = "") -> bool:
        """Whether a file or folder of this name is inside; without a name, whether this place itself is there."""
        fs, path = self.filesystem
        with self._reading(name):
            found = fs.get_file_info(f"{path}/{name}" if name else path).type
        return bool(found != pafs.FileType.NotFound)

    def sizes(self) -> dict[str, int]:
        """The files directly inside, by name, with their size in bytes; hidden and half-written ones left out."""
        found = {e.base_name: int(e.size) for e in self._entries() if e.type == pafs.FileType.File}
        return {name: found[name] for name in sorted(found) if not name.startswith(".")}

    def stamp(self, name: str) -> Stamp | None:
        """Size and modification time of a file, which change with its bytes; None where there is no such file."""
        fs, path = self.filesystem
        with self._reading(name):
            info = fs.get_file_info(f"{path}/{name}")
        return (info.size, info.mtime_ns or 0) if info.type == pafs.FileType.File else None

    def folders(self) -> list[str]:
        """The names of the directories directly inside."""
        names = (e.base_name for e in self._entries() if e.type == pafs.FileType.Directory)
        return sorted(n for n in names if not n.startswith("."))

    def hidden(self) -> list[str]:
        """The names of what lies directly inside and is not part of an artifact: they begin with a dot."""
        return sorted(e.base_name for e in self._entries() if e.base_name.startswith("."))

    def fetch(self, folder: Path) -> Path:
        """A local folder with everything that is here: the place itself where it is local, or copied into `folder`."""
        fs, path = self.filesystem
        if self.is_local:
            return Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        for name in self.sizes():
            with (
                self._reading(name),
                fs.open_input_stream(f"{path}/{name}", compression=None) as source,
                (folder / name).open("wb") as f,
            ):
                shutil.copyfileobj(source, f, 1 << 20)
        for name in self.folders():
            (self / name).fetch(folder / name)
        return folder

    def read(self, name: str) -> bytes:
        """The content of a file inside; raises ArtifactError where it cannot be read."""
        fs, path = self.filesystem
        with self._reading(name), fs.open_input_stream(f"{path}/{name}", compression=None) as stream:
            return bytes(stream.read())

    def open(self, name: str) -> Any:
        """A seekable input: memory-mapped where the place is local."""
        fs, path = self.filesystem
        with self._reading(name):
            return pa.memory_map(f"{path}/{name}") if self.is_local else fs.open_input_file(f"{path}/{name}")

    def mapped(self, name: str) -> Any:
        """A memory-mapped input; of a copy on this machine's disk (TMPDIR) where the place is remote.

        The copy has no name and is gone when nothing maps it any more.
        """
        if self.is_local:
            return self.open(name)
        fs, path = self.filesystem
        with tempfile.NamedTemporaryFile(prefix="unisid-") as copy:
            with self._reading(name), fs.open_input_stream(f"{path}/{name}", compression=None) as source:
                shutil.copyfileobj(source, copy, BLOCK)
                copy.flush()
            return pa.memory_map(copy.name)

    @contextlib.contextmanager
    def writing(self, name: str, summed: bool = True) -> Iterator[Any]:
        """An output stream whose file appears under its name only when all of it has been written.

        `summed`: its checksum is left in `.sums` first, so that `sums` need not read the file again.
        """
        fs, path = self.filesystem
        draft = f"{path}/.{name}.{uuid.uuid4().hex[:8]}.tmp"
        try:
            fs.create_dir(path, recursive=True)
            with fs.open_output_stream(draft, compression=None) as stream:
                counting = Summed(stream)
                yield counting if summed else stream
            if summed:
                fs.create_dir(f"{path}/{LEFT}", recursive=True)
                fs.open_output_stream(
                    f"{path}/{LEFT}/{left_as(name, counting.size, counting.sum)}", compression=None
                ).close()
            give_name(fs, draft, f"{path}/{name}")
        except OSError as error:
            raise ArtifactError(f"{self / name}: cannot be written ({error}); free space or rights are needed, "
                                "or another place for the store (--store)") from error  # fmt: skip
        finally:
            with contextlib.suppress(OSError):
                fs.delete_file(draft)

    def write(self, name: str, data: bytes) -> None:
        """Write a file that is no part of an artifact's data: nothing is left beside it."""
        with self.writing(name, summed=False) as stream:
            stream.write(data)

    def sums(self, names: Iterable[str]) -> dict[str, str]:
        """The checksums of files that are here: as their writers left them, or of the bytes where that is not sure."""
        sizes, left = self.sizes(), left_there((self / LEFT).sizes())
        found = {}
        for name in names:
            if name in sizes:
                size, checksum = left.get(name, (-1, ""))
                found[name] = checksum if size == sizes[name] else self.checksum(name)
        return found

    def forget_sums(self) -> None:
        """Remove the checksums that writers left."""
        (self / LEFT).clear()

    def checksum(self, name: str) -> str:
        """The checksum of a file's bytes as they lie there."""
        fs, path = self.filesystem
        with self._reading(name), fs.open_input_stream(f"{path}/{name}", compression=None) as stream:
            return checksum(stream)

    def take(self, name: str, source: "Place") -> None:
        """Copy a file of another place, under its own name."""
        fs, path = source.filesystem
        with (
            source._reading(name),
            fs.open_input_stream(f"{path}/{name}", compression=None) as stream,
            self.writing(name) as copy,
        ):
            shutil.copyfileobj(stream, copy, BLOCK)

    def clear(self) -> None:
        """Remove everything at this place."""
        fs, path = self.filesystem
        if self.exists():
            with self._removing(""):
                fs.delete_dir(path)

    def remove(self, name: str) -> None:
        """Remove a file inside; nothing where there is none."""
        fs, path = self.filesystem
        if self.exists(name):
            with self._removing(f"/{name}"):
                fs.delete_file(f"{path}/{name}")

    def _entries(self) -> list[Any]:
        fs, path = self.filesystem
        with self._reading(""):
            return list(fs.get_file_info(pafs.FileSelector(path, allow_not_found=True)))

    @contextlib.contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise ArtifactError(f"{self}: no file '{name}' here") from None
        except OSError as error:
            raise UnreadableError(
                f"{self / name if name else self}: cannot be read ({error}); a file that you may read is needed"
            ) from None

    @contextlib.contextmanager
    def _removing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArtifactError(f"{self}{name}: cannot be removed ({error}); rights to write are needed") from None


@dataclass(frozen=True)
class Store:
    """All artifacts under one root: root/noun/name/version."""

    root: Place

    def check(self) -> None:
        """Raise ArtifactError where the root is something else than a folder that may be read, or nothing yet."""
        fs, path = self.root.filesystem
        with self.root._reading(""):
            kind = fs.get_file_info(path).type
        if kind not in (pafs.FileType.Directory, pafs.FileType.NotFound):
            raise ArtifactError(f"store '{self.root}': is a file; a folder is needed, or a URI (--store, UNISID_STORE)")
        self.root.folders()

    def place(self, address: Address) -> Place:
        """Where the artifact of an address lies, or would lie."""
        return self.root / str(address)

    def draft(self, address: Address, fingerprint: str) -> Place:
        """Where an artifact lies while it is made: a hidden folder beside its own, one for each fingerprint."""
        return self.root / address.noun / address.name / f".{address.version}.{fingerprint[:12]}"

    def drafts(self, address: Address) -> list[Place]:
        """The half-made artifacts (drafts) under an address, of any settings."""
        folder = self.root / address.noun / address.name
        return [folder / name for name in folder.hidden() if _version_of(name) == address.version]

    def addresses(self, noun: str | None = None) -> list[Address]:
        """Every address with something in it, complete or not."""
        found = []
        for n in [noun] if noun else NOUNS:
            for name in (self.root / n).folders():
                folder = self.root / n / name
                versions = {*folder.folders(), *(v for each in folder.hidden() if (v := _version_of(each)))}
                found += [Address(n, name, version) for version in sorted(versions)]
        return found


def _version_of(draft: str) -> str:
    """'.1.0123456789ab' -> '1'; '' for other names."""
    found = re.fullmatch(r"\.(.+)\.[0-9a-f]{12}", draft)
    return found[1] if found else ""
