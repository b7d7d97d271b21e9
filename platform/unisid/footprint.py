"""What work holds of this machine's memory while it is done; and which machine that is."""

import contextlib
import os
import platform
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SECONDS = 0.5
"""Between one look and the next."""
CLUSTER = "a cluster"
"""The machine of what others' processes made, whose memory is not looked at."""
DRIVER = Path("/proc/driver/nvidia/gpus")
"""Where the GPUs' names lie: to ask CUDA would take memory of each."""


@dataclass
class Held:
    """Bytes that this process, and all that it began, hold for themselves: what files and processes share is none."""

    before: int
    """When the work began."""
    peak: int
    """The most that was seen."""

    def look(self) -> None:
        """See how much it is now."""
        self.peak = max(self.peak, held())


@contextlib.contextmanager
def watched(seconds: float = SECONDS) -> Iterator[Held]:
    """Inside, memory is looked at, beginning and end included."""
    begun = held()
    found, over = Held(begun, begun), threading.Event()

    def watch() -> None:
        while not over.wait(seconds):
            found.look()

    thread = threading.Thread(target=watch, daemon=True, name="footprint")
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
        found.look()


def held() -> int:
    """As `Held` has it, now."""
    import psutil

    total, own = 0, psutil.Process()
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.Error):  # it ended
            used = process.memory_info()
            total += used.rss - getattr(used, "shared", 0)  # which Linux alone has
    return total


def memory() -> int:
    """Bytes of memory that this machine has."""
    import psutil

    return int(psutil.virtual_memory().total)


def machine() -> str:
    """This machine in words, such as 'x86_64, 16 cores, 126 GiB, NVIDIA H200': what a time or a memory is of."""
    gpus = [_model(entry) for entry in sorted(DRIVER.glob("*/information"))]
    return ", ".join([platform.machine(), f"{os.cpu_count()} cores", f"{memory() / 2**30:.0f} GiB", *gpus])


def _model(entry: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for line in entry.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "Model":
                return value.strip()
    return "a GPU"
