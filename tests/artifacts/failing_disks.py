"""Disks that fail: the operating system's own refusal, and a file system whose every change can be the last."""

import contextlib
import errno
import os
import resource
from collections.abc import Iterator
from typing import Any, ClassVar

from fsspec import register_implementation
from fsspec.implementations.memory import MemoryFileSystem


@contextlib.contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Writes past this size fail in the operating system, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Brittle(MemoryFileSystem):
    """brittle://: a file system in memory that allows so many changes more, then refuses as `reason` says."""

    protocol = "brittle"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    left: ClassVar[float] = float("inf")
    reason: ClassVar[int] = errno.ENOSPC

    @classmethod
    def allow(cls, changes: float = float("inf"), reason: int = errno.ENOSPC) -> None:
        Brittle.left, Brittle.reason = changes, reason

    @classmethod
    @contextlib.contextmanager
    def read_only(cls) -> Iterator[None]:
        cls.allow(0, errno.EROFS)
        try:
            yield
        finally:
            cls.allow()

    def _change(self) -> None:
        if Brittle.left <= 0:
            raise OSError(Brittle.reason, os.strerror(Brittle.reason))
        Brittle.left -= 1

    def _open(self, path: str, mode: str = "rb", *rest: Any, **options: Any) -> Any:
        if "r" not in mode:
            self._change()
        return super()._open(path, mode, *rest, **options)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        if not self.exists(path):
            self._change()
        super().makedirs(path, exist_ok)

    def mkdir(self, path: str, create_parents: bool = True, **options: Any) -> None:
        if not self.exists(path):
            self._change()
        super().mkdir(path, create_parents, **options)

    def cp_file(self, path1: str, path2: str, **options: Any) -> None:
        self._change()
        super().cp_file(path1, path2, **options)

    def rm(self, path: str, recursive: bool = False, maxdepth: int | None = None) -> None:
        self._change()
        super().rm(path, recursive, maxdepth)

    def rm_file(self, path: str) -> None:
        self._change()
        super()._rm(path)


register_implementation("brittle", Brittle, clobber=True)
