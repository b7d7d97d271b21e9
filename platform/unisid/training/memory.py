"""What to do about a full memory, said where it happens; and how much of a device was taken."""

import contextlib
from collections.abc import Iterator

import torch

from unisid.errors import ConfigError

SIGNS = ("out of memory", "DefaultCPUAllocator", "not enough memory", "ALLOC_FAILED")
"""Texts by which untyped RuntimeErrors report that memory ran out."""


DEVICE_PEAK = "device_memory"
"""The name under which a training reports it."""


def device_peak(device: torch.device) -> dict[str, float]:
    """The most bytes that this process's tensors took of a GPU since they were last forgotten; nothing for a CPU."""
    return {DEVICE_PEAK: float(torch.cuda.max_memory_allocated(device))} if device.type == "cuda" else {}


def forget_device_peak(device: torch.device) -> None:
    """Count a GPU's peak from now on."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


@contextlib.contextmanager
def naming_the_setting(where: str, zero: int) -> Iterator[None]:
    """Turn a failed allocation into an error that names what to lower; any other error passes as it is."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        more = f"raise training.zero (it is {zero}) and the workers, " if zero < 3 else "add workers, "
        raise ConfigError(
            f"{where}: the memory is full ({str(error).splitlines()[0] if str(error) else 'no more room'}); lower "
            f"micro_batch (batch_size where there is none), {more}or set the backbone's gradient_checkpointing"
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: on a GPU, in torch's CPU allocator, or in Python."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)
