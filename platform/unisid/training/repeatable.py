"""The same run twice is the same bit for bit."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

MEMORY: Any = torch.utils.deterministic
"""Whose setting mypy does not see."""


@contextlib.contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """On a CPU, sums that threads would add up in the order of their arrival keep to one order.

    Such is the gradient of indexing with repeated rows. On a GPU the price is high and nothing is changed.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = MEMORY.fill_uninitialized_memory
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)
        MEMORY.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        MEMORY.fill_uninitialized_memory = filled
