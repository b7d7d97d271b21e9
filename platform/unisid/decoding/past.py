"""Cached keys and values of the beams' own tokens, for any model.

B users, K beams, G heads of keys and values, P own positions of a beam, C width of a head.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

KeyValue = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Past:
    """The beams' own positions: keys and values [B, K, G, P, C] of every layer's self-attention."""

    layers: tuple[KeyValue, ...] = ()

    def __len__(self) -> int:
        return int(self.layers[0][0].shape[3]) if self.layers else 0

    def follow(self, parents: Int[Tensor, "B K"]) -> "Past":
        """The past of beams that continue the given ones."""
        rows = torch.arange(len(parents), device=parents.device)[:, None]
        return Past(tuple((keys[rows, parents], values[rows, parents]) for keys, values in self.layers))
