"""Bayesian personalised ranking: an item that a user interacted with should score above one they did not.

U users, N items, M known (user, item) pairs, B batch.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


def bpr(
    known: Float[Tensor, " B"], unknown: Float[Tensor, " B"], weights: Float[Tensor, " B"] | None = None
) -> Float[Tensor, ""]:
    """mean -log sigmoid(known - unknown), of scores (Rendle et al., 2009; UQF thesis, 3.2); with weights, their mean
    by these."""
    loss = functional.softplus(unknown - known)
    return loss.mean() if weights is None else (weights * loss).sum() / weights.sum()


@dataclass(frozen=True, eq=False)
class Unknown:
    """Every user's unknown items, to draw from uniformly; held as the gaps between the known ones.

    If a user's known items in order are i_0 < i_1 < ..., the r-th unknown item is r + j with j the number of
    known ones for which i_k - k <= r: one binary search a draw, nothing to reject, no wait for the device.
    """

    keys: Int[Tensor, " M"]
    """user * N + i_k - k, ascending."""
    offsets: Int[Tensor, " n"]
    """n = U + 1: user u's known pairs are offsets[u] to offsets[u + 1]."""
    num_items: int

    @classmethod
    def of(cls, user: Int[Tensor, " M"], item: Int[Tensor, " M"], num_users: int, num_items: int) -> "Unknown":
        """From distinct known pairs, by user, then item."""
        degree = torch.bincount(user, minlength=num_users)
        offsets = torch.cat([degree.new_zeros(1), degree.cumsum(0)])
        place = torch.arange(len(user), device=user.device) - offsets[:-1].repeat_interleave(degree)
        return cls(user.long() * num_items + item - place, offsets, num_items)

    def count(self) -> Int[Tensor, " U"]:
        """Number of items that each user has not interacted with."""
        return self.num_items - self.offsets.diff()

    def sample(self, users: Int[Tensor, " B"], generator: torch.Generator) -> Int[Tensor, " B"]:
        """One item for each user, uniform among the unknown ones; every user must have one."""
        start = self.offsets[users]
        free = self.num_items - (self.offsets[users + 1] - start)
        wide = torch.randint(2**62, users.shape, generator=generator, device=users.device)
        drawn = wide % free
        before = torch.searchsorted(self.keys, users.long() * self.num_items + drawn, right=True) - start
        return drawn + before
