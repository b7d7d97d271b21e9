"""What the figures of a training are, and which direction is good: for the console and the report's curves.

A figure without words here is shown with the details alone (`--verbose`); curves and trackers have it all the same.
"""

from collections.abc import Iterable, Mapping
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
    unit: str = ""
    """What an axis says; empty: nothing of its own."""

    def __str__(self) -> str:
        return f"{self.words} {ARROWS[self.better]}".strip()

    @property
    def higher_is_better(self) -> bool:
        """Whether the best value is the highest."""
        return self.better == "up"


SCORE = "valid_score"
"""The name of what decides a training's best epoch: one of these, which its stage hands on (`Job.judged_by`)."""
NDCG = Figure("NDCG@10 of validation, which decides the best epoch", "up", "NDCG@10")
LOSS = Figure("validation loss, which decides the best epoch", "down", "loss")
COLLISIONS = Figure("collisions, then reconstruction, which decide the best epoch", "down", "collisions, then error")
RECONSTRUCTION = Figure("reconstruction error of validation, which decides the best epoch", "down", "squared error")
SCORES: Mapping[str, Figure] = {
    "model": NDCG,
    "joint": NDCG,
    "baseline": NDCG,
    "codes": COLLISIONS,
    "fused": LOSS,
}
"""A noun's score where its curve does not say it: of artifacts from before curves did."""

KNOWN: Mapping[str, Figure] = {
    "epoch": Figure("epoch"),
    "step": Figure("optimizer step"),
    SCORE: Figure("what decides the best epoch"),
    "loss": Figure("training loss, mean of the epoch", "down", "loss"),
    "running_loss": Figure("training loss of this epoch so far", "down"),
    "valid_loss": Figure("loss of validation", "down"),
    "valid_ndcg_10": Figure("NDCG@10 of validation", "up"),
    "valid_hr_10": Figure("share of validation targets among the first 10", "up"),
    "valid_recall_20": Figure("share of held-out items among the first 20", "up", "recall@20"),
    "valid_collisions": Figure("share of items whose codes an earlier item has", "down"),
    "valid_reconstruction": Figure("squared error of the vectors made again from codes, validation", "down"),
    "valid_structure": Figure("loss of finding items that users share, validation", "down"),
    "valid_semantic": Figure("loss of finding items of like text, validation", "down"),
    "valid_next": Figure("loss of the next item, validation", "down"),
    "valid_alignment": Figure("loss of matching the parts of one item, validation", "down"),
    "reconstruction": Figure("squared error of the vectors made again from codes", "down"),
    "quantization": Figure("distance between vectors and codebooks", "down"),
    "uniformity": Figure("how unevenly a level's codes are used", "down"),
    "diversity": Figure("loss that spreads a level's codewords", "down"),
    "alignment": Figure("loss of matching the two sides", "down"),
    "structure": Figure("loss of finding items that users share", "down"),
    "semantic": Figure("loss of finding items of like text", "down"),
    "next_loss": Figure("loss of the next item", "down"),
    "alignment_loss": Figure("loss of matching the parts of one item", "down"),
    "recommendation": Figure("loss of the next item's codes", "down"),
    "preference": Figure("loss of finding the target's vector", "down"),
    "tokenizer_distillation": Figure("distance from the teacher's soft codes", "down"),
    "recommender_distillation": Figure("loss of finding the teacher's vector", "down"),
    "reward": Figure("mean worth of the answers", "up"),
    "hit_groups": Figure("share of prompts with the target among the answers", "up"),
    "signal": Figure("share of prompts that teach anything"),
    "margin": Figure("worth of the best answer over the worst"),
    "contrast": Figure("loss of telling the target from the wrong answers", "down"),
    "ahead": Figure("share of prompts whose target gained more than the wrong answers", "up"),
    "kl": Figure("distance from the recommender that it began with, mean of tokens"),
    "kl_99": Figure("kl that 99% of the prompts stay below"),
    "device_memory": Figure("bytes of the GPU that tensors took at most"),
    "tokens_per_second": Figure("tokens read a second, all devices", "up"),
    "mfu": Figure("share of the devices' arithmetic that is used", "up"),
    "steps_per_second": Figure("optimizer steps a second", "up"),
    "shards_done": Figure("shards written"),
    "shards_per_second": Figure("shards written a second", "up"),
    "items_per_second": Figure("items encoded a second", "up"),
    "forward_share": Figure("share of the time that the encoder computes", "up"),
}
"""By the name under which a stage reports it."""
OF_NOUN: Mapping[tuple[str, str], Figure] = {
    ("joint", "quantization"): Figure("the tokenizer's own loss", "down"),
    ("fused", "reconstruction"): Figure("squared error of modalities made from the vector", "down"),
    ("fused", "valid_reconstruction"): Figure(
        "squared error of the modalities made again from the vector, validation", "down"
    ),
}
"""Of one noun, where a name means something else there."""
WHERE = ("epoch", "step")
"""Where a training is; a line begins with these."""


def figure(noun: str, name: str, score: Figure | None = None) -> Figure | None:
    """The description of a stage's figure; None for one without words.

    Args:
        score: what its `valid_score` is, as its stage says; None: as is usual for the noun.
    """
    if name == SCORE:
        return score or SCORES.get(noun) or KNOWN[SCORE]
    return OF_NOUN.get((noun, name)) or KNOWN.get(name)


def in_order(names: Iterable[str]) -> list[str]:
    """As a line shows them: where it is, what decides, the rest of the validation, all else."""
    first = (*WHERE, SCORE)
    return sorted(names, key=lambda name: first.index(name) if name in first else 3 + (not name.startswith("valid_")))


def legend(noun: str, names: Iterable[str], score: Figure | None = None) -> list[str]:
    """A line for each known figure of these whose name does not say it all, in their order."""
    found = {name: figure(noun, name, score) for name in names}
    return [f"{name}: {each}" for name, each in found.items() if each is not None and name not in WHERE]


def shown(noun: str, name: str, value: float, score: Figure | None = None) -> str:
    """A figure with its value, and an arrow to where it is better."""
    known = figure(noun, name, score)
    return f"{name} {value:.5g}{ARROWS[known.better] if known is not None else ''}"
