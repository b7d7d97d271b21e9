"""Caser: convolutions over the last few items, as over a picture of L rows and D columns, and a vector for the user.

    horizontal: for each height h of 1..L, max over time of ReLU(filters [h, D])        vertical: filters [L, 1]
    z = ReLU(W [horizontal, vertical] + b)        s_j = <[z, p_u], e'(j)>

Tang and Wang, 2018. The output has item vectors of its own, e'. A user of whom nothing is known has p_u = 0.
B rows, T items, L last items, D width, W = 2 D, N items.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from unisid.artifacts.catalog import Catalog
from unisid.baselines import Histories
from unisid.baselines.parts.learned import LearnedBaseline, Windows, count_next, next_item_loss, score_all
from unisid.baselines.parts.sequential import SequentialConfig
from unisid.bounds import Width
from unisid.layers.transformer import start
from unisid.ops.dropout import dropout


@dataclass(frozen=True, kw_only=True)
class Config(SequentialConfig):
    """The filters."""

    last_items: Width = 5
    """L: how many of the last items it reads."""
    horizontal: Width = 16
    """Filters of each height."""
    vertical: Width = 4
    """Filters over single columns."""

    def model(self, catalog: Catalog) -> "Caser":
        return Caser(self, catalog.num_items, catalog.num_users)


class Caser(LearnedBaseline):
    """At every place it sees the items up to there alone, so all next items of a window are learned at once."""

    def __init__(self, config: Config, num_items: int, num_users: int) -> None:
        super().__init__()
        self.config = config
        length, width = config.last_items, config.width
        self.items, self.users = nn.Embedding(num_items, width), nn.Embedding(num_users, width)
        self.rows = nn.ModuleList([nn.Linear(h * width, config.horizontal) for h in range(1, length + 1)])
        self.columns = nn.Linear(length, config.vertical)
        self.out = nn.Linear(length * config.horizontal + config.vertical * width, width)
        self.targets = nn.Embedding(num_items, 2 * width)
        for table in (self.items, self.targets):
            start(table)
        nn.init.zeros_(self.users.weight)

    def states(self, items: Int[Tensor, "B T"], users: Int[Tensor, " B"]) -> Float[Tensor, "B T W"]:
        vectors = functional.pad(self.items(items.clamp(min=0)), (0, 0, self.config.last_items - 1, 0))
        pictures = vectors.unfold(1, self.config.last_items, 1)  # [B, T, D, L]
        across = [self._strongest(pictures, height, filters) for height, filters in enumerate(self.rows, 1)]
        down = self.columns(pictures).flatten(2)
        found = dropout(torch.cat([*across, down], -1), self.config.dropout if self.training else 0.0)
        own = torch.where(users[:, None] >= 0, self.users(users.clamp(min=0)), 0.0)
        return torch.cat([functional.relu(self.out(found)), own[:, None].expand(-1, items.shape[1], -1)], -1)

    @staticmethod
    def _strongest(pictures: Float[Tensor, "B T D L"], height: int, filters: nn.Module) -> Float[Tensor, "B T f"]:
        """Of filters over so many items in a row, the largest answer wherever they are laid."""
        pieces = pictures.unfold(3, height, 1).transpose(2, 3).flatten(3)  # [B, T, L - h + 1, D * h]
        answers: Tensor = functional.relu(filters(pieces)).amax(2)
        return answers

    def loss(self, windows: Windows) -> Float[Tensor, ""]:
        config = self.config
        return next_item_loss(self.states, self.targets.weight, windows, config.loss, config.num_negatives)

    def count(self, windows: Windows) -> int:
        return count_next(windows)

    def answer(self, histories: Histories) -> Float[Tensor, "B N"]:
        return score_all(self.states, self.targets.weight, histories)
