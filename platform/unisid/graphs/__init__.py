"""Interactions -> vectors of users and items. One module a kind.

A graph model works column by column: a column of its output depends on the same column of its parameter and on
nothing else. So W workers own d_g / W columns of all nodes each, and only dot products must be added up.
"""

from abc import abstractmethod

from jaxtyping import Float, Int
from torch import Tensor, nn

from unisid.config import PlugIn
from unisid.ops.propagate import Adjacency


class GraphModel(nn.Module):
    """The columns that one worker owns, of all V nodes: users first, then items."""

    vectors: nn.Parameter
    """[V, w]: all that is learned."""

    @abstractmethod
    def forward(self) -> Float[Tensor, "V w"]:
        """The final vectors of all nodes; a user's score of an item is the dot product of their rows."""

    @abstractmethod
    def penalty(self, nodes: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        """This worker's part of the regulariser of a batch's nodes: a sum over them and over own columns."""

    @abstractmethod
    def layers(self) -> list[Float[Tensor, "V w"]]:
        """K + 1 views of every node for the fusion, the nearest first; without gradients."""


class GraphConfig(PlugIn):
    """Base of the Configs in this folder."""

    num_layers: int
    """K: the model has K + 1 layers."""
    width: int
    """d_g: columns over all workers."""

    @abstractmethod
    def build(self, graph: Adjacency, columns: range, seed: int) -> GraphModel:
        """The model of some columns, on the graph's device; a column's start depends on its number and the seed."""
