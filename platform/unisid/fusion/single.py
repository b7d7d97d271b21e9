"""One modality alone: the ablation that a fusion has to beat."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unisid.config import did_you_mean
from unisid.errors import ConfigError
from unisid.fusion import Fusion, FusionConfig, Items, in_order


@dataclass(frozen=True, kw_only=True)
class Config(FusionConfig):
    """No fusion at all."""

    modality: str = "text"
    """Which one is kept: text, graph, or a name of further embeddings. Under 'graph', an item without interactions has
    the zero vector."""

    def build(self, widths: Mapping[str, int]) -> "Single":
        if self.modality not in widths:
            raise ConfigError(
                f"fusion.modality: is '{self.modality}'{did_you_mean(self.modality, widths)}; must be "
                f"one of {', '.join(in_order(widths))}"
            )
        return Single(self.modality, widths[self.modality])


class Single(Fusion):
    """The mean over a modality's rows, scaled to length one."""

    def __init__(self, modality: str, width: int) -> None:
        super().__init__()
        self.modality, self.width = modality, width

    def forward(self, items: Items) -> Float[Tensor, "B W"]:
        return F.normalize(items[self.modality].mean(), dim=-1)
