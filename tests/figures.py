"""What a training reports: a figure of every epoch, and a running loss wherever the machine takes its time."""

from collections.abc import Iterable
from typing import Any


def of_epochs(reported: Iterable[Any]) -> list[Any]:
    """The figures of whole epochs, of which there are as many on any machine."""
    return [each for each in reported if "epoch" in each]
