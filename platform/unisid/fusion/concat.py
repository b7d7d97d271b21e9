"""All modalities side by side: the fusion that learns nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unisid.fusion import Fusion, FusionConfig, Items, in_order


@dataclass(frozen=True, kw_only=True)
class Config(FusionConfig):
    """Nothing to set."""

    def build(self, widths: Mapping[str, int]) -> "Concat":
        return Concat(in_order(widths), sum(widths.values()))


class Concat(Fusion):
    """The means over every modality's rows, each scaled to length one, joined: text, graph, then the others by name."""

    def __init__(self, names: tuple[str, ...], width: int) -> None:
        super().__init__()
        self.names, self.width = names, width

    def forward(self, items: Items) -> Float[Tensor, "B W"]:
        return torch.cat([F.normalize(items[name].mean(), dim=-1) for name in self.names], dim=-1)
