"""Learning to compare a state with every item: a softmax over all of them, or over a sample where they are many.

P positions, T items before each, N items, D width, S sampled.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from unisid.artifacts.catalog import TRAIN, Catalog
from unisid.layers.history import Seen
from unisid.ops.dense_softmax import dense_softmax_loss, sampled_softmax_loss
from unisid.ops.inclusion import drawn, shares

FULL = 1 << 17
"""Up to so many items the softmax is over all, unless settings say otherwise."""
SAMPLED = 1 << 13
"""Items sampled of more."""
POWER = 0.75
"""Of an item's count, as its weight in the sample."""


def sample_size(wanted: int, num_items: int) -> int:
    """How many items a step learns from; all where `wanted` is 0 and the catalogue is small."""
    return min(num_items, wanted or (num_items if num_items <= FULL else SAMPLED))


def training_counts(catalog: Catalog) -> Float[Tensor, " N"]:
    """How often each item is taken in the training interactions."""
    taken = catalog.item[catalog.split == TRAIN].astype(np.int64)
    return torch.from_numpy(np.bincount(taken, minlength=catalog.num_items).astype(np.float32))


def softmax_loss(
    queries: Float[Tensor, "P D"],
    vectors: Callable[[Int[Tensor, "*x"]], Float[Tensor, "*x D"]],
    seen: Seen,
    added: Float[Tensor, "P T"],
    targets: Int[Tensor, " P"],
    counts: Float[Tensor, " N"],
    size: int,
) -> Float[Tensor, ""]:
    """The sum over positions of -log softmax(<query, items> + what is added to the items before)[target].

    Args:
        vectors: of some items.
        counts: how often each item is taken, by which it is sampled.
        size: S; N for all items.
    """
    if size >= len(counts):
        every = vectors(torch.arange(len(counts), device=counts.device))
        return dense_softmax_loss(queries, every, seen.items, added, targets)
    share = shares((counts + 1) ** POWER, size)
    sample = drawn(share, torch.rand((), dtype=torch.float64, device=share.device))
    return sampled_softmax_loss(
        queries, vectors, len(counts), seen.items, added, seen.real, targets, sample, share[sample]
    )
