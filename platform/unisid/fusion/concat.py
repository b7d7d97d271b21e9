"""All modalities side by side: the fusion that learns nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unisid.bounds import NotNegative
from unisid.config import identity_where
from unisid.fusion import Fusion, FusionConfig, Items, check_weights, in_order


@dataclass(frozen=True, kw_only=True)
class Config(FusionConfig):
    """How much each modality counts."""

    weights: Mapping[str, NotNegative] = field(
        default_factory=dict, metadata=identity_where(lambda config: bool(config.weights))
    )
    """What a modality's part is multiplied by, by its name; 1 where it is not named. A tokenizer feels it where
    `codes.scale` is `whole`."""

    def build(self, widths: Mapping[str, int]) -> "Concat":
        return Concat(widths, self.weights)


class Concat(Fusion):
    """The means over every modality's rows, each scaled to the length of its weight, joined: text, graph, then the
    others by name."""

    def __init__(self, widths: Mapping[str, int], weights: Mapping[str, float]) -> None:
        super().__init__()
        check_weights(weights, widths)
        self.names, self.width = in_order(widths), sum(widths.values())
        self.weights = [weights.get(name, 1.0) for name in self.names]

    def forward(self, items: Items) -> Float[Tensor, "B W"]:
        parts = [
            weight * F.normalize(items[name].mean().float(), dim=-1)
            for name, weight in zip(self.names, self.weights, strict=True)
        ]
        return torch.cat(parts, dim=-1)
