"""Mixed precision where the device has it."""

import contextlib
from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def autocast(precision: Precision, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """bfloat16 autocast if asked for, or on a GPU under 'auto'; nothing otherwise. Sums and losses stay float32."""
    if precision == "bfloat16" or (precision == "auto" and device.type == "cuda"):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()
