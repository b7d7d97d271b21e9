"""LightGCN: the mean of a node's own vector and its K propagations (He et al., 2020; UQF thesis, 3.2).

V nodes (users first), w own columns, K propagation layers.
"""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unisid.bounds import NotNegative, Range, Width
from unisid.graphs import GraphConfig, GraphModel
from unisid.ops.propagate import Adjacency, layers, mean_over_layers
from unisid.ops.seeded import seed_of


@dataclass(frozen=True, kw_only=True)
class Config(GraphConfig):
    """LightGCN's shape and its regulariser."""

    num_layers: Annotated[int, Range(0, 1024)] = 5
    """K: number of propagation layers, the receptive field in hops (UQF thesis: 5)."""
    width: Width = 256
    """d_g: numbers a node and layer (UQF thesis: 256)."""
    penalty: NotNegative = 1e-4
    """Weight of the squared length of a batch's E(0) rows, over 2B (UQF thesis, listing B.1)."""

    def build(self, graph: Adjacency, columns: range, seed: int) -> "LightGCN":
        return LightGCN(self, graph, columns, seed)


class LightGCN(GraphModel):
    """Some columns of LightGCN, of all nodes."""

    def __init__(self, config: Config, graph: Adjacency, columns: range, seed: int) -> None:
        super().__init__()
        self.config, self.graph = config, graph
        self.vectors = nn.Parameter(xavier(graph, columns, config.width, seed))

    def forward(self) -> Float[Tensor, "V w"]:
        return mean_over_layers(self.graph, self.vectors, self.config.num_layers)

    def penalty(self, nodes: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        return self.config.penalty * self.vectors.index_select(0, nodes).square().sum()

    def layers(self) -> list[Float[Tensor, "V w"]]:
        return layers(self.graph, self.vectors.detach(), self.config.num_layers)


def xavier(graph: Adjacency, columns: range, width: int, seed: int) -> Float[Tensor, "V w"]:
    """Xavier's uniform start, for users and items apart; each column draws from a generator of its own."""
    device = graph.users_items.device
    vectors = torch.empty(graph.num_nodes, len(columns), device=device)
    for place, column in enumerate(columns):
        generator = torch.Generator(device).manual_seed(seed_of(seed, column))
        vectors[:, place].copy_(torch.rand(graph.num_nodes, generator=generator, device=device))
    vectors.mul_(2.0).sub_(1.0)
    vectors[: graph.num_users].mul_(math.sqrt(6.0 / (graph.num_users + width)))
    vectors[graph.num_users :].mul_(math.sqrt(6.0 / (graph.num_items + width)))
    return vectors
