"""Mixed precision where the device has it, and where it pays."""

import contextlib
import functools
import math
from pathlib import Path
from typing import Literal

import torch
from torch import nn

Precision = Literal["auto", "float32", "bfloat16"]
CPU_WIDTH = 256
"""From this width on a processor with bfloat16 products gains more by them than it loses by turning numbers round: at
128 a step of UQF took 1.7 times as long as in float32, at 256 as long (`benchmarks.precision`)."""
PROCESSOR = Path("/proc/cpuinfo")
UNITS = {"amx_bf16", "avx512_bf16"}
"""What Linux calls a processor's bfloat16 products."""


def is_bfloat16(precision: Precision, device: torch.device, width: int = 0) -> bool:
    """Whether forward passes are in bfloat16: if set so; under 'auto' on a GPU, or on a processor that has those.

    Args:
        width: of the model's matrices (`width_of`); a processor computes narrow ones, and those of 0, in float32.
    """
    if precision != "auto":
        return precision == "bfloat16"
    return device.type == "cuda" or (device.type == "cpu" and width >= CPU_WIDTH and processor_has_bfloat16())


def autocast(precision: Precision, device: torch.device, width: int = 0) -> contextlib.AbstractContextManager[object]:
    """bfloat16 autocast where `is_bfloat16` says so; nothing otherwise. Sums and losses stay float32."""
    if is_bfloat16(precision, device, width):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def width_of(model: nn.Module) -> int:
    """The narrow side of a model's matrices, at least as large in half of all their multiply-adds; 0 without any."""
    sides = sorted(
        ((min(each.weight.shape), each.weight.numel()) for each in model.modules() if isinstance(each, nn.Linear)),
        reverse=True,
    )
    half, seen = math.ceil(sum(number for _, number in sides) / 2), 0
    for side, number in sides:
        seen += number
        if seen >= half:
            return side
    return 0


@functools.cache
def processor_has_bfloat16() -> bool:
    """Whether this machine's processor multiplies bfloat16 (AMX or AVX512-BF16); False where Linux does not say so."""
    try:
        lines = PROCESSOR.read_text().splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return not UNITS.isdisjoint(flags)
