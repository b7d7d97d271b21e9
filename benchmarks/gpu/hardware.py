"""The device: what it is, what it could do, and how long something takes on it."""

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

PEAKS: dict[str, tuple[float, float]] = {
    "H200": (989e12, 4.8e12),
    "H100 PCIe": (756e12, 2.0e12),
    "H100": (989e12, 3.35e12),
    "A100": (312e12, 2.0e12),
    "L40S": (362e12, 0.864e12),
    "L4": (121e12, 0.3e12),
}
"""Name -> dense bfloat16 operations a second and bytes of memory traffic a second, as the maker states them."""
ROUNDS, SECONDS = 20, 3.0
"""At most so many timed runs, and so long."""


@dataclass(frozen=True)
class Device:
    """Where everything runs."""

    torch: torch.device

    @classmethod
    def found(cls) -> "Device":
        """A GPU where there is one, else the CPU."""
        return cls(torch.device("cuda" if torch.cuda.is_available() else "cpu"))

    @property
    def name(self) -> str:
        return torch.cuda.get_device_name() if self.torch.type == "cuda" else platform.processor() or "cpu"

    @property
    def peaks(self) -> tuple[float, float] | None:
        """Operations and bytes a second at best; None for a device that is not listed."""
        return next((peaks for name, peaks in PEAKS.items() if name in self.name), None)

    def facts(self) -> dict[str, Any]:
        """What a reader must know of the machine."""
        found: dict[str, Any] = {"device": self.name, "torch": torch.__version__, "python": platform.python_version()}
        if self.torch.type == "cuda":
            found |= {
                "memory_gib": round(torch.cuda.get_device_properties(self.torch).total_memory / 2**30, 1),
                "cuda": torch.version.cuda,
                "capability": ".".join(map(str, torch.cuda.get_device_capability())),
            }
        return found

    def seconds(self, run: Callable[[], object], rounds: int = ROUNDS) -> float:
        """The median of several runs, after two that do not count."""
        for _ in range(2):
            run()
        self.wait()
        taken: list[float] = []
        begun = time.perf_counter()
        while len(taken) < rounds and (len(taken) < 3 or time.perf_counter() - begun < SECONDS):
            start = time.perf_counter()
            run()
            self.wait()
            taken.append(time.perf_counter() - start)
        return statistics.median(taken)

    def wait(self) -> None:
        """Until all that was started is done."""
        if self.torch.type == "cuda":
            torch.cuda.synchronize(self.torch)

    def share_of_peak(self, operations: float, seconds: float) -> float | None:
        """Of the bfloat16 operations that the device could do (MFU); None where that is not known."""
        return None if self.peaks is None else round(operations / seconds / self.peaks[0], 4)

    def share_of_bandwidth(self, moved: float, seconds: float) -> float | None:
        """Of the bytes that the device could move; None where that is not known."""
        return None if self.peaks is None else round(moved / seconds / self.peaks[1], 4)

    def most_memory(self, run: Callable[[], object]) -> float | None:
        """GiB that a run holds at most; None without a GPU."""
        if self.torch.type != "cuda":
            return None
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.torch)
        run()
        return round(torch.cuda.max_memory_allocated(self.torch) / 2**30, 2)


def operations_of(run: Callable[[], object]) -> int:
    """The multiplications and additions of a run's matrix products and attentions, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())
