"""Text and graph side by side: the fusion that learns nothing."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unisid.fusion import Fusion, FusionConfig, Items


@dataclass(frozen=True, kw_only=True)
class Config(FusionConfig):
    """Nothing to set."""

    def build(self, text_width: int, graph_width: int) -> "Concat":
        return Concat(text_width + graph_width)


class Concat(Fusion):
    """The pooled text vector and the mean over graph layers, each scaled to length one, joined."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, items: Items) -> Float[Tensor, "B W"]:
        parts = (items.text.mean(), items.graph.mean(dim=1))
        return torch.cat([F.normalize(part, dim=-1) for part in parts], dim=-1)
