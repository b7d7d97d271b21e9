"""What the machine lacks, in words: the errors of files, folders, memory and packages that are no fault of the program.

`in_words` returns one line for each, or nothing: what it has no words for is a fault of the program.
"""

import contextlib
import errno
import os

from unisid.masked import masked
from unisid.printable import printable_lines

NEEDED = {
    errno.ENOSPC: "free space is needed there",
    errno.EDQUOT: "free space within the quota is needed there",
    errno.EACCES: "rights to read and write it are needed",
    errno.EPERM: "rights to read and write it are needed",
    errno.EROFS: "a place that can be written is needed",
    errno.ENOENT: "it must be there",
    errno.ENOTDIR: "its parent must be a folder",
    errno.EISDIR: "it must be a file",
    errno.EMFILE: "more open files must be allowed (ulimit -n)",
    errno.ENFILE: "fewer open files on this machine are needed",
    errno.ENOMEM: "more memory is needed",
    errno.EAGAIN: "more processes must be allowed (ulimit -u)",
    errno.ENAMETOOLONG: "a shorter path is needed",
}
"""What would be right, by the number of an error of the operating system."""
OWN = ("unisid", "jobs")
"""Packages that are here, or the program is at fault."""
DATABASES = ("sqlite3", "sqlalchemy.exc")


def in_words(error: BaseException) -> str | None:
    """Where, what is wrong, what would be right, in one line; None for what is a fault of the program."""
    name, text = type(error).__name__, str(error).strip()
    first = text.partition("\n")[0]
    found = None
    if isinstance(error, OSError):
        found = _of_the_system(error, first)
    elif isinstance(error, MemoryError) or name == "OutOfMemoryError":
        found = f"memory: there is not enough ({first or name}); smaller batches, fewer workers or more of it"
    elif isinstance(error, ModuleNotFoundError) and (error.name or "unisid").partition(".")[0] not in OWN:
        found = f"package '{error.name}': is not installed; pip install it, with the versions of constraints.txt"
    elif isinstance(error, RuntimeError) and "home directory" in text:
        found = f"home folder: is not known ({first}); set HOME"
    elif isinstance(error, RuntimeError) and "start new thread" in text:
        found = f"threads: {first}; more processes must be allowed (ulimit -u)"
    elif type(error).__module__ in DATABASES:
        found = f"database: {first}; a file that can be written is needed"
    elif type(error).__module__ == "ray.exceptions" and not name.startswith("RayTaskError"):
        found = f"Ray: {first or name}; nodes that stay, with memory enough, are needed"
    return printable_lines(masked(found)) if found else None


def _of_the_system(error: OSError, text: str) -> str:
    with contextlib.suppress(OSError):
        os.getcwd()
        where = " -> ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
        if "temporary directory" in text:
            return f"temporary folder: {error.strerror or text}; set TMPDIR to a folder that can be written"
        wrong = error.strerror or text or type(error).__name__
        return f"{where or 'this machine'}: {wrong}; {NEEDED.get(error.errno or 0, 'the machine must allow it')}"
    return "current folder: is gone or cannot be read; change to one that is there"
