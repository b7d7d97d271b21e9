"""Mixed precision where the device has it."""

import contextlib
from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def is_bfloat16(precision: Precision, device: torch.device) -> bool:
    """Whether forward passes are in bfloat16: if set so, or on a GPU under 'auto'."""
    return precision == "bfloat16" or (precision == "auto" and device.type == "cuda")


def autocast(precision: Precision, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """bfloat16 autocast if set so, or on a GPU under 'auto'; nothing otherwise. Sums and losses stay float32."""
    if is_bfloat16(precision, device):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()
