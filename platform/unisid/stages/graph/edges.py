"""The interaction graph that is learned from, its batches, and the targets that it is validated on.

U users, N items, V = U + N nodes, M edges, m of them learnable, B of a step, S validation targets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from unisid.artifacts.catalog import TRAIN, VALID, Catalog
from unisid.artifacts.store import Place
from unisid.config import Json
from unisid.errors import DataError
from unisid.ops.bpr import Unknown
from unisid.ops.distinct import sorted_unique
from unisid.ops.propagate import Adjacency, adjacency
from unisid.ops.seeded import seed_of

if TYPE_CHECKING:
    from unisid.stages.graph import Config


@dataclass(frozen=True, eq=False)
class Edges:
    """What is learned from and validated on; the same on every worker."""

    graph: Adjacency
    unknown: Unknown
    user: Int[Tensor, " M"]
    """In int32, by user, then item."""
    item: Int[Tensor, " M"]
    weight: Float[Tensor, " M"] | None
    """How much each counts; None: all alike."""
    learnable: Int[Tensor, " m"]
    """The edges whose user has an unknown item to compare with."""
    valid_user: Int[Tensor, " S"]
    """The users of the validation targets, a target each."""
    valid_item: Int[Tensor, " S"]
    user_degree: Int[np.ndarray, " U"]
    item_degree: Int[np.ndarray, " N"]

    @classmethod
    def read(cls, place: Place, config: Config, device: torch.device) -> Edges:
        """Of a catalog. Raises DataError where it has no interaction to learn from."""
        catalog = Catalog.read(place)
        shape = (catalog.num_users, catalog.num_items)
        rows = slice(None) if config.use_all_interactions else catalog.split == TRAIN
        (user, item), weights = catalog.edges(rows), catalog.edge_weights(rows)
        if not len(user):
            raise DataError(
                f"graph: {catalog.place} has no training interactions among {catalog.num_users} users and "
                f"{catalog.num_items} items; a graph needs at least one"
            )
        users, items = torch.from_numpy(user).to(device), torch.from_numpy(item).to(device)
        unknown = Unknown.of(users, items, *shape)
        learnable = (unknown.count()[users] > 0).nonzero()[:, 0]
        if not len(learnable):
            raise DataError(
                f"graph: every user with training interactions has all {catalog.num_items} items, so none "
                "is left to be ranked lower; more items are needed"
            )
        valid_user, valid_item = _validation(catalog, config, user, item)
        return cls(
            graph=adjacency(user, item, *shape, weights).to(device),
            unknown=unknown,
            user=users,
            item=items,
            weight=None if weights is None else torch.from_numpy(weights).float().to(device),
            learnable=learnable,
            valid_user=torch.from_numpy(valid_user).to(device),
            valid_item=torch.from_numpy(valid_item).to(device),
            user_degree=np.bincount(user, minlength=shape[0]).astype(np.int32),
            item_degree=np.bincount(item, minlength=shape[1]).astype(np.int32),
        )

    def counts(self, config: Config) -> Json:
        """Their counts for the record."""
        return ({"leaky": True} if config.use_all_interactions else {}) | {
            "users": self.graph.num_users,
            "items": self.graph.num_items,
            "nodes": self.graph.num_nodes,
            "edges": len(self.user),
            "edges_without_negative": len(self.user) - len(self.learnable),
            "isolated_users": int((self.user_degree == 0).sum()),
            "isolated_items": int((self.item_degree == 0).sum()),
            "validation_targets": len(self.valid_user),
        }

    def num_steps(self, config: Config) -> int:
        """Of an epoch."""
        return -(-len(self.learnable) // config.batch_edges)

    def batches(
        self, config: Config, epoch: int
    ) -> Iterator[tuple[Int[Tensor, " B"], Int[Tensor, " B"], Int[Tensor, " B"], Float[Tensor, " B"] | None]]:
        """(user, known item, unknown item, weight) of every step of an epoch: the same on all workers."""
        generator = torch.Generator(self.user.device).manual_seed(seed_of(config.seed, epoch))
        order = torch.randperm(len(self.learnable), generator=generator, device=self.user.device)
        for places in order.tensor_split(self.num_steps(config)):
            chosen = self.learnable[places]
            users = self.user[chosen].long()
            unknown = self.unknown.sample(users, generator)
            yield users, self.item[chosen].long(), unknown, None if self.weight is None else self.weight[chosen]


def _validation(
    catalog: Catalog, config: Config, user: Int[np.ndarray, " M"], item: Int[np.ndarray, " M"]
) -> tuple[Int[np.ndarray, " S"], Int[np.ndarray, " S"]]:
    """The (user, target) pairs to rank: of users with edges, and new to them unless the graph leaks; users sampled."""
    rows = np.flatnonzero(catalog.split == VALID)
    width = catalog.num_items
    keys = sorted_unique(catalog.user[rows].astype(np.int64) * width + catalog.item[rows])
    keys = keys[np.isin(keys // width, user)]
    if not config.use_all_interactions:
        keys = keys[~np.isin(keys, user.astype(np.int64) * width + item)]
    users = sorted_unique(keys // width)
    if len(users) > config.validation_users:
        chosen = np.random.default_rng(config.seed).choice(users, config.validation_users, replace=False)
        keys = keys[np.isin(keys // width, chosen)]
    return keys // width, keys % width
