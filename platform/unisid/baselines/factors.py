"""A fitted baseline that is a vector for every user and every item. U users, N items, B batch, D width."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unisid.baselines import Histories


class Factors(nn.Module):
    """score(u, i) = <user vector, item vector>. Whoever has no vector is the mean of the items in the history."""

    users: Tensor
    items: Tensor

    def __init__(self, users: Float[Tensor, "U D"], items: Float[Tensor, "N D"]) -> None:
        """A user of whom nothing is known has a vector of zeros."""
        super().__init__()
        self.chosen: dict[str, float] = {}
        self.register_buffer("users", users)
        self.register_buffer("items", items)

    def scores(self, histories: Histories) -> Float[Tensor, "B N"]:
        rows, taken = torch.from_numpy(histories.rows), torch.from_numpy(histories.items)
        mean = torch.zeros(len(histories), self.items.shape[1]).index_add_(0, rows, self.items[taken])
        mean /= torch.from_numpy(histories.lengths)[:, None].clamp(min=1)
        if histories.users is None:
            return mean @ self.items.T
        own = self.users[torch.from_numpy(histories.users)]
        return torch.where(own.any(1, keepdim=True), own, mean) @ self.items.T
