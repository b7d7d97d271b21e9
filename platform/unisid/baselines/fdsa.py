"""FDSA: one transformer over the history's items and one over their features, joined at the end (Zhang et al., 2019).

    f_i = sum over the item's attributes a of softmax(<e_a, w>) e_a        s_j = <W [h_items ; h_features] + b, e(j)>

An item's attributes are words of its text. One without any has the zero vector as its feature.
B rows, T items, D width, N items, A attributes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unisid.artifacts.catalog import Catalog
from unisid.baselines import Histories
from unisid.baselines.parts.attributes import attributes
from unisid.baselines.parts.learned import LearnedBaseline, Windows, count_next, next_item_loss, score_all
from unisid.baselines.parts.sequential import SequentialConfig
from unisid.bounds import Layers, Width
from unisid.errors import ConfigError
from unisid.layers.transformer import CausalTransformer, start


@dataclass(frozen=True, kw_only=True)
class Config(SequentialConfig):
    """The transformers, which are of one shape."""

    num_layers: Layers = 2
    """Blocks of each."""
    num_heads: Layers = 2
    """Of attention."""
    feedforward_width: Width = 256
    """Inside each feed-forward part."""
    num_attributes: Width = 512
    """A: at most so many words."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.num_heads:
            raise ConfigError(f"fdsa: width {self.width} over {self.num_heads} heads; must divide evenly")

    def model(self, catalog: Catalog) -> "Fdsa":
        return Fdsa(self, attributes(catalog, self.num_attributes), catalog.history_length)


class Fdsa(LearnedBaseline):
    """Both read forward. The attributes come from the catalog, so they are no part of the weights."""

    attributes: Float[Tensor, "N A"]

    def __init__(self, config: Config, found: Float[Tensor, "N A"], max_length: int) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.register_buffer("attributes", found, persistent=False)
        self.items, self.words = nn.Embedding(len(found), width), nn.Embedding(found.shape[1], width)
        self.attend = nn.Linear(width, 1)
        self.of_items, self.of_features = (
            CausalTransformer(
                width, config.num_layers, config.num_heads, config.feedforward_width, config.dropout, max_length
            )
            for _ in range(2)
        )
        self.out = nn.Linear(2 * width, width)
        start(self)

    def features(self) -> Float[Tensor, "N D"]:
        """f of all items."""
        scores = self.attend(self.words.weight)[:, 0]
        weights = self.attributes * (scores - scores.max()).exp()
        return weights @ self.words.weight / weights.sum(1, keepdim=True).clamp(min=1e-9)

    def states(self, items: Int[Tensor, "B T"], users: Int[Tensor, " B"]) -> Float[Tensor, "B T D"]:
        read = items.clamp(min=0)
        both = [self.of_items(self.items(read)), self.of_features(self.features()[read])]
        found: Tensor = self.out(torch.cat(both, -1))
        return found

    def loss(self, windows: Windows) -> Float[Tensor, ""]:
        config = self.config
        return next_item_loss(self.states, self.items.weight, windows, config.loss, config.num_negatives)

    def count(self, windows: Windows) -> int:
        return count_next(windows)

    def answer(self, histories: Histories) -> Float[Tensor, "B N"]:
        return score_all(self.states, self.items.weight, histories)
