"""Several modalities, one vector an item. A fusion is a module here with a `Config` that builds a `Fusion`.

B items, K graph layers, S text width, G graph width, W width of the fused vector.
"""

import abc
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unisid.config import PlugIn
from unisid.ops.ragged import Ragged


@dataclass(frozen=True)
class Items:
    """What is known of B items, ascending by number of tokens. A modality that is missing or dropped is zero."""

    text: Ragged
    """Token states [n_i, S]; a single zero token where the text is dropped."""
    graph: Float[Tensor, "B K G"]

    def to(self, device: torch.device) -> "Items":
        return Items(self.text.to(device), self.graph.to(device))


class Fusion(nn.Module, abc.ABC):
    """Maps items to vectors of `width`, each item by itself."""

    width: int
    reads_states: ClassVar[bool] = False
    """Whether the text comes token by token; if not, the pooled vector is the only token."""

    @abc.abstractmethod
    def forward(self, items: Items) -> Float[Tensor, "B W"]: ...


class LearnedFusion(Fusion):
    """A fusion with weights, learned by contrast of neighbours and by reconstruction."""

    @abc.abstractmethod
    def reconstruct(self, vectors: Float[Tensor, "B W"]) -> tuple[Float[Tensor, "B S"], Float[Tensor, "B G"]]:
        """What the vectors still say of the mean text state and the mean graph layer."""


class FusionConfig(PlugIn):
    """Base of the settings of every fusion."""

    @abc.abstractmethod
    def build(self, text_width: int, graph_width: int) -> Fusion: ...
