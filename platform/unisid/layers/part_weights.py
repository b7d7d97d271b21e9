"""Weights of the parts of an item's score, linear in the popularity of the history's latest item.

    score(item | history) = sum over parts f of (a_f + b_f * z) * part_f(item)
    z = (log(1 + n) - m) / s, cut at -2 and 2

n: how often the history's latest item was taken in training; m, s: mean and deviation of log(1 + n) over the training
interactions. After a popular item co-occurrence counts may weigh more and similarity less. a and b are fitted to
validation samples (`ops.blend`).

Example, counts (1, 7) of two items: log(1 + n) = (0.69, 2.08); over the eight interactions m = 1/8 * 0.69 + 7/8 * 2.08
= 1.91, s = 0.46. After the first z = (0.69 - 1.91) / 0.46, cut at -2; after the second 0.38: with a = 1, b = 0.5 a part
has the weights 0 and 1.19. B histories, E items before, N items, F parts, n samples, C candidates.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unisid.ops.blend import fit_weights

FARTHEST = 2.0
"""Of z from 0."""
OLDER = "part_weights"
"""What models made before z was there call their weights, [F]."""


class PartWeights(nn.Module):
    """a and b of every part, and the scale of z."""

    values: Tensor
    scale: Tensor

    def __init__(self, start: Sequence[float]) -> None:
        super().__init__()
        first = torch.tensor(start, dtype=torch.float64)
        self.register_buffer("values", torch.stack([first, torch.zeros_like(first)]))
        self.register_buffer("scale", torch.tensor([0.0, 1.0]))

    def __len__(self) -> int:
        """F."""
        return self.values.shape[1]

    def count(self, counts: Float[Tensor, " N"]) -> None:
        """Set m and s from the items' training counts."""
        known, share = counts.double().log1p(), counts.double() / counts.sum().clamp_min(1)
        mean = (known * share).sum()
        deviation = ((known - mean).square() * share).sum().sqrt()
        self.scale.copy_(torch.stack([mean, deviation if deviation > 0 else torch.ones_like(deviation)]))

    def z(self, before: Int[Tensor, "B E"], counts: Float[Tensor, " N"]) -> Float[Tensor, " B"]:
        """z: the standardised log-popularity of each history's latest item.

        Args:
            before: items, the latest first; negative ones fill short rows.
        """
        latest = before[:, 0]
        known = torch.where(latest < 0, 0.0, counts[latest.clamp_min(0)].float()).log1p()
        mean, deviation = self.scale
        return ((known - mean) / deviation).clamp(-FARTHEST, FARTHEST)

    def at(self, z: Float[Tensor, " B"]) -> Float[Tensor, "B F"]:
        """The weights a + b z of every row."""
        found: Tensor = self.values[0] + z.double()[:, None] * self.values[1]
        return found

    def of(self, before: Int[Tensor, "B E"], counts: Float[Tensor, " N"]) -> Float[Tensor, "B F"]:
        """The weights for every history."""
        return self.at(self.z(before, counts))

    def fit(
        self,
        parts: Float[Tensor, "n C F"],
        z: Float[Tensor, " n"],
        real: Bool[Tensor, "n C"],
        chosen: Int[Tensor, " n"],
        total: Callable[[Tensor], Tensor] = lambda tensor: tensor,
    ) -> None:
        """Fit a and b to all workers' samples (`ops.blend`)."""
        self.values.copy_(fit_weights(parts, z, real, chosen, self.values, total))

    def figures(self, names: Sequence[str]) -> dict[str, float]:
        """a and b of every part, by its name."""
        first, slope = self.values.tolist()
        found = {f"weight_{name}": value for name, value in zip(names, first, strict=True)}
        return found | {f"weight_{name}_by_z": value for name, value in zip(names, slope, strict=True)}


def with_weights(held: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Saved weights of a model; those of one that has no b get 0 for it, which leaves its scores as they were."""
    found = dict(held)
    if OLDER in found:
        first = found.pop(OLDER)
        found[f"{OLDER}.values"] = torch.stack([first, torch.zeros_like(first)])
        found[f"{OLDER}.scale"] = torch.tensor([0.0, 1.0])
    return found
