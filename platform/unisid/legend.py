"""What the figures of a training are, and which direction is good: for the console and the report's curves."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Direction = Literal["up", "down", ""]
ARROWS: dict[str, str] = {"up": "↑", "down": "↓", "": ""}


@dataclass(frozen=True)
class Figure:
    """A figure in words."""

    words: str
    better: Direction = ""
    """Which way is better; empty where neither is."""

    def __str__(self) -> str:
        return f"{self.words} {ARROWS[self.better]}".strip()


KNOWN: dict[str, Figure] = {
    "loss": Figure("training loss, mean of the epoch", "down"),
    "running_loss": Figure("training loss of this epoch so far", "down"),
    "epoch": Figure("epoch"),
    "step": Figure("optimizer step"),
    "valid_hr_10": Figure("share of validation targets among the first 10", "up"),
    "valid_recall_20": Figure("share of held-out items among the first 20", "up"),
    "valid_collisions": Figure("share of items whose codes an earlier item has", "down"),
    "valid_reconstruction": Figure("squared error of the vectors made again from codes, validation", "down"),
    "reconstruction": Figure("squared error of the vectors made again from codes", "down"),
    "quantization": Figure("distance between vectors and codebooks", "down"),
    "device_memory": Figure("bytes of the GPU that tensors took at most"),
    "valid_score": Figure("what decides the best epoch", "down"),
}
"""By the name under which a stage reports it; `valid_score` is another in these:"""
SCORES: dict[str, Figure] = {
    "model": Figure("NDCG@10 of validation, which decides the best epoch", "up"),
    "baseline": Figure("NDCG@10 of validation, which decides the best epoch", "up"),
    "codes": Figure("collisions, then reconstruction, which decide the best epoch", "down"),
    "fused": Figure("validation loss, which decides the best epoch", "down"),
}


def figure(noun: str, name: str) -> Figure | None:
    """The description of a stage's figure; None for one that is not listed."""
    return SCORES[noun] if name == "valid_score" and noun in SCORES else KNOWN.get(name)


def legend(noun: str, names: Iterable[str]) -> list[str]:
    """A line for each known figure of these whose name does not say it all, in their order."""
    found = {name: figure(noun, name) for name in names}
    return [f"{name}: {each}" for name, each in found.items() if each is not None and each.better]


def shown(noun: str, name: str, value: float) -> str:
    """A figure with its value, and an arrow to where it is better."""
    known = figure(noun, name)
    return f"{name} {value:.5g}{ARROWS[known.better] if known is not None else ''}"
