"""The offset that is added to the scores of items without training interactions.

    p(item | history) = softmax over items of (score + offset, where the item is new)

Popularity and learned item embeddings come from interactions; a new item is scored by its codes, its content and
similar items alone, lower than others that are as likely. The offset is the one with which new items together have a
given share of the probability, in the mean over training histories (`ops.offset`): by default their share of the
catalogue, as if a new item were as likely as the average one. No interaction of a new item is used.

Example, two items, the second new, scores (2, 0) after every history: the new one has probability 1 / (1 + e^2) = 0.12.
For a share of 1/2 the offset is 2. Ten such items beside ninety others are raised until they have 0.1 together.

B histories of T items, E items taken, N items.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unisid.artifacts.catalog import TRAIN, Catalog
from unisid.ops.offset import log_odds, offset_to_share
from unisid.ops.padding import padded

HISTORIES = 256
"""Users whose histories are scored, drawn by seed where there are more."""
SCORES_AT_ONCE = 1 << 22
Scores = Callable[[Int[Tensor, "B T"], Int[Tensor, "B E"]], Float[Tensor, "B N"]]
"""Scores of all items, from histories and all items taken, of which a history holds the last."""


@torch.no_grad()
def offset_of(scores: Scores, catalog: Catalog, new: Bool[Tensor, " N"], share: float | None) -> float:
    """The offset to the scores of new items; 0 where there are none, no others, or no training histories.

    Args:
        scores: with nothing added to those of new items.
        share: of the probability, for new items together; None: their share of the catalogue; 0: nothing is added.
    """
    wanted = float(new.double().mean()) if share is None else share
    if not new.any() or new.all() or not 0 < wanted < 1:
        return 0.0
    past = known_histories(catalog, ~new.cpu().numpy())
    size = max(1, SCORES_AT_ONCE // len(new))
    found = []
    for start in range(0, len(past), size):
        taken = _side_by_side(past[start : start + size]).to(new.device)
        read = _side_by_side([each[-catalog.history_length :] for each in past[start : start + size]]).to(new.device)
        found.append(log_odds(scores(read, taken), new))
    return offset_to_share(torch.cat(found), wanted) if found else 0.0


def known_histories(catalog: Catalog, known: Bool[np.ndarray, " N"]) -> list[Int[np.ndarray, " _"]]:
    """Some users' training histories of the items `known`, oldest first; none is empty."""
    rows = np.flatnonzero((catalog.split == TRAIN) & known[catalog.item])
    users, starts, counts = np.unique(catalog.user[rows], return_index=True, return_counts=True)
    chosen = np.sort(np.random.default_rng(0).permutation(len(users))[:HISTORIES])
    return [catalog.item[rows[starts[u] : starts[u] + counts[u]]].astype(np.int64) for u in chosen]


def raised(scores: Float[Tensor, "B N"], new: Bool[Tensor, " N"], offset: float) -> Float[Tensor, "B N"]:
    """The scores of all items, the offset added to those of new ones."""
    return scores + offset * new if offset else scores


def _side_by_side(rows: list[Int[np.ndarray, " _"]]) -> Int[Tensor, "B T"]:
    return padded(np.concatenate(rows), np.array([len(row) for row in rows]))
