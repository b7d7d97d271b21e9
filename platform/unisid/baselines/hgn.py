"""HGN: gates choose features and items of the last few, by the user; items count one by one besides (Ma et al., 2019).

    F = S * sigmoid(S W_1 + b + p_u W_2)        I = F * sigmoid(F w_3 + p_u W_4)
    s_j = <p_u, q_j> + <sum of I / sum of its gates, q_j> + <sum of S, q_j>

S is [L, D], the vectors of the last L items; the second gate is one number an item. The output has item vectors of its
own, q. A user of whom nothing is known has p_u = 0. B rows, T items, L last items, D width, N items.
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
    """How far the gates look back."""

    last_items: Width = 5
    """L."""

    def model(self, catalog: Catalog) -> "Hgn":
        return Hgn(self, catalog.num_items, catalog.num_users)


class Hgn(LearnedBaseline):
    """At every place it sees the items up to there alone, so all next items of a window are learned at once."""

    def __init__(self, config: Config, num_items: int, num_users: int) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.items, self.users = nn.Embedding(num_items, width), nn.Embedding(num_users, width)
        self.feature, self.feature_user = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.instance = nn.Linear(width, 1, bias=False)
        self.instance_user = nn.Linear(width, config.last_items, bias=False)
        self.targets = nn.Embedding(num_items, width)
        for table in (self.items, self.targets):
            start(table)
        nn.init.zeros_(self.users.weight)

    def states(self, items: Int[Tensor, "B T"], users: Int[Tensor, " B"]) -> Float[Tensor, "B T D"]:
        before = self.config.last_items - 1
        vectors = functional.pad(self.items(items.clamp(min=0)), (0, 0, before, 0))
        vectors = dropout(vectors, self.config.dropout if self.training else 0.0)
        last = vectors.unfold(1, before + 1, 1).transpose(2, 3)  # [B, T, L, D]
        places = torch.arange(items.shape[1], device=items.device)
        real = places[:, None] + torch.arange(-before, 1, device=items.device) >= 0  # [T, L]
        own = torch.where(users[:, None] >= 0, self.users(users.clamp(min=0)), 0.0)
        gated = last * torch.sigmoid(self.feature(last) + self.feature_user(own)[:, None, None])
        share = torch.sigmoid(self.instance(gated)[..., 0] + self.instance_user(own)[:, None]) * real
        pooled = (gated * share[..., None]).sum(2) / share.sum(2, keepdim=True)
        return own[:, None] + pooled + last.sum(2)

    def loss(self, windows: Windows) -> Float[Tensor, ""]:
        config = self.config
        return next_item_loss(self.states, self.targets.weight, windows, config.loss, config.num_negatives)

    def count(self, windows: Windows) -> int:
        return count_next(windows)

    def answer(self, histories: Histories) -> Float[Tensor, "B N"]:
        return score_all(self.states, self.targets.weight, histories)
