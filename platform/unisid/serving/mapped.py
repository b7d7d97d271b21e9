"""Arrays in files of this machine that its processes map: what several replicas hold lies in its memory once.

A folder a key, below one of this user's in TMPDIR. Who maps it holds a shared lock on it (flock), who makes it an
exclusive one; the kernel releases both however a process ends. What is not locked is not used, and is removed: when a
holder lets go, at the next `hold` of any process, and by `remove_unused`. Pages stay mapped when their files are gone,
so a removal can cost another process only the making of the files anew.
"""

import contextlib
import fcntl
import json
import os
import shutil
import stat
import tempfile
import time
import uuid
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Shaped

from unisid import __version__
from unisid.errors import ArtifactError
from unisid.log import logger

LOG = logger(__name__)

Arrays = dict[str, Shaped[np.ndarray, "..."] | pa.Array]
FORMAT = 1
"""Changes with what files hold under the same key."""
SIZES = "sizes.json"
"""The sizes of a folder's files, written last: its presence is completeness."""
BOOT = Path("/proc/sys/kernel/random/boot_id")
TRIES, PAUSE = 200, 0.01
"""How often an incomplete folder that others hold is looked at again, and the seconds in between."""


@dataclass(frozen=True, eq=False)
class Held:
    """Arrays, and the lock that keeps their files while this object lives."""

    arrays: Arrays = field(repr=False)
    path: Path | None = None
    """The folder of their files; None where they lie in this process's own memory."""


def here() -> Path:
    """The folder of this user's on this machine, made where it lacks.

    Raises:
        ArtifactError: another user made it, or may write to it.
    """
    path = Path(tempfile.gettempdir()) / f"unisid-serving-{os.getuid()}"
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be made ({error}); another folder for TMPDIR is needed") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise ArtifactError(f"{path}: is not this user's own folder; remove it, or set TMPDIR to another folder")
    return path


def key_of(*parts: Any) -> str:
    """The name of what these parts identify, for this version of unisid since this machine started."""
    with contextlib.suppress(OSError):  # files that were not yet on disk when a machine lost its power are none
        parts = (*parts, BOOT.read_text())
    return sha256(json.dumps([FORMAT, __version__, *parts]).encode()).hexdigest()[:32]


def hold(folder: Path | None, key: str, make: Callable[[], Arrays]) -> Held:
    """The arrays of a key, mapped; one process of this machine makes them, others wait for it.

    Args:
        folder: as `here` returns it; None for arrays in this process's own memory.
        make: returns the arrays; what it raises is raised.
    """
    if folder is None:
        return Held(make())
    remove_unused(folder)
    path = folder / key
    for tries in range(1 << 30):
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            lock = _locked(path, fcntl.LOCK_SH)  # waits while another process makes them
            if lock is None:
                continue  # it was removed in between
            if _is_whole(path):
                return _held(folder, path, lock)
            os.close(lock)
            lock = _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return _alone(make(), path, error)
        if lock is not None:
            try:
                if not _is_whole(path) and (found := _written(path, make)) is not None:
                    return found
            finally:
                os.close(lock)
        elif tries % TRIES == TRIES - 1:  # files that others map were removed by hand
            with contextlib.suppress(OSError):
                path.rename(folder / f"{key}-{uuid.uuid4().hex[:8]}")
        else:
            time.sleep(PAUSE)
    raise AssertionError


def remove_unused(folder: Path) -> None:
    """Remove what no process holds: left by one that was killed, or let go."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            lock = _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def _held(folder: Path, path: Path, lock: int) -> Held:
    try:
        found = Held({file.stem: _read(file) for file in path.iterdir() if file.name != SIZES}, path)
    except OSError:
        os.close(lock)
        raise
    weakref.finalize(found, _let_go, folder, lock)
    return found


def _let_go(folder: Path, lock: int) -> None:
    os.close(lock)
    with contextlib.suppress(OSError):
        remove_unused(folder)


def _alone(arrays: Arrays, path: Path, error: OSError) -> Held:
    LOG.warning(
        f"{path}: cannot be written ({error}); this process holds a copy of its own. Free space is needed there"
    )
    return Held(arrays)


def _locked(path: Path, how: int) -> int | None:
    """A descriptor of a folder with a lock; None where it is not to be had, or the folder is gone."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(lock, how)
        if path.stat().st_ino == os.fstat(lock).st_ino:
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(lock)
        raise
    os.close(lock)
    return None


def _is_whole(path: Path) -> bool:
    try:
        sizes = json.loads((path / SIZES).read_text())
        return all((path / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def _written(path: Path, make: Callable[[], Arrays]) -> Held | None:
    """Write what is made; returns it where the disk takes it not."""
    arrays = make()
    try:
        for file in path.iterdir():
            file.unlink()
        for name, values in arrays.items():
            _write(path, name, values)
        draft = path / f".{SIZES}"
        draft.write_text(json.dumps({file.name: file.stat().st_size for file in path.iterdir()}))
        draft.rename(path / SIZES)
    except OSError as error:
        for file in path.iterdir():
            with contextlib.suppress(OSError):
                file.unlink()
        return _alone(arrays, path, error)
    return None


def _write(path: Path, name: str, values: Shaped[np.ndarray, "..."] | pa.Array) -> None:
    if isinstance(values, np.ndarray):
        np.save(path / f"{name}.npy", values, allow_pickle=False)
        return
    batch = pa.record_batch([values], ["values"])
    with pa.OSFile(str(path / f"{name}.arrow"), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)


def _read(file: Path) -> Shaped[np.ndarray, "..."] | pa.Array:
    """Mapped; what a process writes to such an array is its own."""
    if file.suffix == ".arrow":
        with pa.ipc.open_file(pa.memory_map(str(file))) as source:
            return source.get_batch(0).column(0)
    try:
        return np.load(file, mmap_mode="c", allow_pickle=False).view(np.ndarray)
    except ValueError:  # nothing to map: an array without entries
        return np.load(file, allow_pickle=False)
