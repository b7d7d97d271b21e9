"""LightGCN: a user's vector times an item's, both the mean over the layers of the recipe's `graph`.

It reads the graph that semantic ids are made from, so that what the graph alone is worth stands in the table. It models
users, not histories. He et al., 2020.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from unisid.artifacts.catalog import Catalog
from unisid.artifacts.graph import Graph
from unisid.artifacts.store import Place
from unisid.baselines import Baseline, BaselineConfig
from unisid.baselines.parts.factors import Factors
from unisid.errors import ArtifactError, ConfigError


@dataclass(frozen=True, kw_only=True)
class Config(BaselineConfig):
    """LightGCN's settings are those of the graph."""

    trained: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("catalog", "graph")

    def build(self, catalog: Catalog) -> Baseline:
        raise ConfigError(f"lightgcn: reads a graph beside the catalog {catalog.place}; make it by the stage baseline")

    def build_from(self, inputs: Mapping[str, Place]) -> Baseline:
        catalog, graph = Catalog.read(inputs["catalog"]), Graph.read(inputs["graph"])
        sizes = len(graph.users), len(graph.items)
        if sizes != (catalog.num_users, catalog.num_items):
            raise ArtifactError(
                f"{graph.place}: has {sizes[0]} users and {sizes[1]} items, the catalog "
                f"{catalog.place} {catalog.num_users} and {catalog.num_items}; both must come from one "
                "recipe"
            )
        return Factors(torch.tensor(graph.users.read("vector")), torch.tensor(graph.layers().mean(1)))
