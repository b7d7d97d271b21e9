"""What a killed process leaves behind, and its end: the processes of its own Ray, and its scratch folders.

A process that is killed (kill -9, the kernel for memory) ends nothing itself. So a small watch ends the processes of a
session as soon as the one that began it is gone, and every folder is locked by its owner for as long as that lives:
one without an owner is removed when the next is made. (Run as a program this file is the watch, of Linux alone; it
imports the standard library and nothing else.)
"""

import contextlib
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

OWNER = ".owner"
"""The file of a scratch folder that its owner holds locked."""
SERVING = "unisid-serving"
"""What the name of the folder begins with in which `serving.mapped` keeps a folder a key, locked by who maps it."""
PATIENCE = 10.0
"""Seconds that the watch takes at most."""


class Scratch(tempfile.TemporaryDirectory[str]):
    """A folder in TMPDIR that goes with this process, or is found without an owner by the next."""

    def __init__(self, name: str) -> None:
        sweep()
        super().__init__(prefix=f"unisid-{name}-", ignore_cleanup_errors=True)
        claim = Path(self.name) / ".claim"
        self.owner = claim.open("w")
        fcntl.flock(self.owner, fcntl.LOCK_EX)
        self._unlock = weakref.finalize(self, self.owner.close)  # also where cleanup() is never called
        claim.rename(claim.with_name(OWNER))  # now it is seen, and locked

    def cleanup(self) -> None:
        """Remove the folder, and its lock."""
        super().cleanup()
        self._unlock()


def sweep() -> None:
    """Remove the scratch folders whose owners are gone, and the files of serving that no process maps."""
    for claim in Path(tempfile.gettempdir()).glob(f"unisid-*/{OWNER}"):
        with contextlib.suppress(OSError), claim.open("r+") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(claim.parent, ignore_errors=True)
    for folder in Path(tempfile.gettempdir()).glob(f"{SERVING}-{os.getuid()}/*"):
        with contextlib.suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


@contextlib.contextmanager
def watched() -> Iterator[Callable[[str], None]]:
    """Inside, a watch waits for this process to be gone, and then ends the processes that write into a folder.

    Yields what names the folder: that of a session's logs, into which all its processes write.
    """
    if not sys.platform.startswith("linux"):
        yield lambda folder: None
        return
    watch = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    words = watch.stdin
    assert words is not None

    def follow(folder: str) -> None:
        words.write(folder.encode())
        words.flush()

    try:
        yield follow
    finally:
        watch.communicate()  # what is left over ends, and the watch


def _end(folder: bytes, owner: int) -> None:
    """Kill what writes into the folder, until there is no more of it."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        pids = {int(name) for name in os.listdir("/proc") if name.isdecimal()} - {owner}
        found = [pid for pid in pids if _writes(pid, folder)]
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not found:
            return
        time.sleep(0.1)


def _writes(pid: int, folder: bytes) -> bool:
    """Whether it holds a file of the folder open for writing. (Ray overwrites the environment and the words of its
    processes with their titles, and its agents write their logs beside outputs that are pipes.)"""
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd".encode()):
            link = f"/proc/{pid}/fd/".encode() + name
            if os.lstat(link).st_mode & stat.S_IWUSR and os.readlink(link).startswith(folder + b"/"):
                return True
    return False


if __name__ == "__main__":
    parent = os.getppid()
    if names := sys.stdin.buffer.read():
        _end(names, parent)
        sweep()
