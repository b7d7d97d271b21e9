"""Popularity: the same ranking for everyone, by how many users took an item in training."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from unisid.artifacts.catalog import Catalog
from unisid.baselines import Baseline, BaselineConfig, Histories


@dataclass(frozen=True, kw_only=True)
class Config(BaselineConfig):
    """Popularity has no settings."""

    def build(self, catalog: Catalog) -> Baseline:
        return Popularity(count_users(catalog))


@dataclass
class Popularity:
    """Scores an item by its number of distinct training users."""

    for_all: Float[Tensor, " N"]
    chosen: dict[str, float] = field(default_factory=dict)

    def over(self, num_items: int) -> "Popularity":
        """The same for a catalogue that has more items after these, which no user took."""
        return Popularity(functional.pad(self.for_all, (0, num_items - len(self.for_all))))

    def scores(self, histories: Histories) -> Float[Tensor, "B N"]:
        return self.for_all.expand(len(histories), -1)


def count_users(catalog: Catalog) -> Float[Tensor, " N"]:
    """How many distinct users took each item in training."""
    _, items = catalog.training_edges()
    return torch.from_numpy(np.bincount(items, minlength=catalog.num_items).astype(np.float32))
