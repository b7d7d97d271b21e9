"""One modality alone: the ablation that a fusion has to beat."""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unisid.fusion import Fusion, FusionConfig, Items


@dataclass(frozen=True, kw_only=True)
class Config(FusionConfig):
    """No fusion at all."""

    modality: Literal["text", "graph"] = "text"
    """Which one is kept. Under 'graph', an item without interactions has the zero vector."""

    def build(self, text_width: int, graph_width: int) -> "Single":
        return Single(self.modality, text_width if self.modality == "text" else graph_width)


class Single(Fusion):
    """The pooled text vector, or the mean over graph layers, scaled to length one."""

    def __init__(self, modality: Literal["text", "graph"], width: int) -> None:
        super().__init__()
        self.modality, self.width = modality, width

    def forward(self, items: Items) -> Float[Tensor, "B W"]:
        chosen = items.text.mean() if self.modality == "text" else items.graph.mean(dim=1)
        return F.normalize(chosen, dim=-1)
