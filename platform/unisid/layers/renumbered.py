"""Weights that belong to items, for a catalogue made anew in which the items have other numbers.

M items of the older catalogue, N items.
"""

from jaxtyping import Float, Int
from torch import Tensor, nn


def rows_of(rows: Float[Tensor, "M *W"], was: Int[Tensor, " N"]) -> Float[Tensor, "N *W"]:
    """The rows of items that had the numbers `was`; zeros where that is negative: for items that came later."""
    found = rows[was.clamp_min(0)]
    found[was < 0] = 0
    return found


def counted(model: nn.Module, counts: Float[Tensor, " M"], was: Int[Tensor, " N"]) -> dict[str, Tensor]:
    """A recommender's counts (how often each item was taken) under new numbers, and its present memory, for
    neighbours are found anew."""
    memory = {name: values for name, values in model.state_dict().items() if name.startswith("memory.")}
    return memory | {"counts": rows_of(counts, was)}
