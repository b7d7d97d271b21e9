"""A drawn graph of users and items, as LightGCN learns from it, and the worker that a fit of one process has."""

from typing import cast

import numpy as np
import torch
from torch import Tensor

from unisid.compute import Worker
from unisid.ops.bpr import Unknown
from unisid.ops.distinct import sorted_unique
from unisid.ops.propagate import adjacency
from unisid.stages.graph.edges import Edges


class Alone:
    """The peers of a lone worker."""

    size, rank = 1, 0

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def all_reduce(self, tensor: Tensor) -> Tensor:
        return tensor

    def all_gather(self, tensor: Tensor) -> Tensor:
        return tensor


def alone(device: torch.device) -> Worker:
    """What an epoch asks of its worker, and no more."""
    return cast(Worker, Alone(device))


ALONE = alone(torch.device("cpu"))


def drawn(users: int, items: int, count: int, device: torch.device) -> Edges:
    """So many random pairs, fewer by those drawn twice, and one of every user and of every item; none to validate."""
    random = np.random.default_rng(0)
    every_user, every_item = np.arange(users), np.arange(items)
    keys = sorted_unique(
        np.concatenate(
            [
                random.integers(0, users * items, count),
                every_user * items + every_user % items,
                every_item % users * items + every_item,
            ]
        )
    )
    return of_pairs((keys // items).astype(np.int32), (keys % items).astype(np.int32), users, items, device)


def of_pairs(user: np.ndarray, item: np.ndarray, users: int, items: int, device: torch.device) -> Edges:
    """What the stage would make of distinct pairs by user, then item."""
    of_edge, item_of_edge = torch.from_numpy(user).to(device), torch.from_numpy(item).to(device)
    none = torch.zeros(0, dtype=torch.long, device=device)
    return Edges(
        graph=adjacency(user, item, users, items).to(device),
        weight=None,
        unknown=Unknown.of(of_edge, item_of_edge, users, items),
        user=of_edge,
        item=item_of_edge,
        learnable=torch.arange(len(user), device=device),
        valid_user=none,
        valid_item=none,
        user_degree=np.bincount(user, minlength=users).astype(np.int32),
        item_degree=np.bincount(item, minlength=items).astype(np.int32),
    )
