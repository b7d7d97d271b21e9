"""A fitted baseline that is a vector for every user and every item. U users, N items, B batch, D width."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unisid.baselines import Histories


class Factors(nn.Module):
    """score(u, i) = <user vector, item vector> + bias of the item.

    A user without a vector is the mean of the items in the history.
    """

    users: Tensor
    items: Tensor
    biases: Tensor

    def __init__(
        self, users: Float[Tensor, "U D"], items: Float[Tensor, "N D"], biases: Float[Tensor, " N"] | None = None
    ) -> None:
        """A user of whom nothing is known has a vector of zeros; biases are zero where none are given."""
        super().__init__()
        self.chosen: dict[str, float] = {}
        self.register_buffer("users", users)
        self.register_buffer("items", items)
        self.register_buffer("biases", items.new_zeros(len(items)) if biases is None else biases)

    def scores(self, histories: Histories) -> Float[Tensor, "B N"]:
        rows, taken = torch.from_numpy(histories.rows), torch.from_numpy(histories.items)
        found = torch.zeros(len(histories), self.items.shape[1]).index_add_(0, rows, self.items[taken])
        found /= torch.from_numpy(histories.lengths)[:, None].clamp(min=1)
        if histories.users is not None:
            own = self.users[torch.from_numpy(histories.users)]
            found = torch.where(own.any(1, keepdim=True), own, found)
        return found @ self.items.T + self.biases
