"""DIN: how much each item of a history says of a candidate, by a small net over the pair (Zhou et al., 2018).

    a(h, y) = MLP([y, h, y - h, y * h]; 4 D -> 64 -> 16 -> 1), not normalised over the history
    score = MLP([sum of a h over each stretch of the history, y]; -> 200 -> 80 -> 1)

as the code of EAGER has it: the history is summed up by stretches of age, the latest items alone, older ones together.
Each row is normalised by itself where that code takes a batch's moments, so that W workers learn what one learns.
P histories, T items of the longest, C candidates, D width, S stretches, Q is P, or 1 where all share the candidates.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

STRETCHES = (1, 1, 1, 2, 2, 2, 10, 10, 20, 20)
"""Items of every stretch, from the latest on; the last goes on to the end."""
PAIR, INNER, OUTER, LAST = 64, 16, 200, 80
"""Widths inside."""


class Dice(nn.Module):
    """p x + (1 - p) alpha x with p = sigmoid(LN(x)): a unit between PReLU and Swish."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(width))

    def forward(self, values: Tensor) -> Tensor:
        share = torch.sigmoid(functional.layer_norm(values, values.shape[-1:]))
        return values * (share + (1 - share) * self.alpha)


class Interest(nn.Module):
    """Scores of candidates after histories."""

    def __init__(self, width: int, length: int, rate: float) -> None:
        super().__init__()
        self.register_buffer("stretch", stretches(length), persistent=False)
        self.num_stretches = int(self.stretch[-1]) + 1
        # [y, h, y - h, y * h] W = y (W_y + W_d) + h (W_h - W_d) + (y * h) W_p: three maps, so that no pair is laid out.
        self.of_candidate, self.of_item = nn.Linear(width, PAIR), nn.Linear(width, PAIR, bias=False)
        self.of_product = nn.Parameter(torch.empty(width, PAIR))
        nn.init.xavier_uniform_(self.of_product)
        self.weigh = nn.Sequential(Dice(PAIR), nn.Linear(PAIR, INNER), Dice(INNER), nn.Linear(INNER, 1))
        self.score = nn.Sequential(
            nn.Linear((self.num_stretches + 1) * width, OUTER),
            Dice(OUTER),
            nn.Dropout(rate),
            nn.Linear(OUTER, LAST),
            Dice(LAST),
            nn.Dropout(rate),
            nn.Linear(LAST, 1),
        )

    stretch: Int[Tensor, " T"]

    def forward(
        self,
        history: Float[Tensor, "P T D"],
        real: Bool[Tensor, "P T"],
        candidates: Float[Tensor, "Q C D"],
    ) -> Float[Tensor, "P C"]:
        """Histories have their latest item first."""
        found, (wanted, width) = history.shape, candidates.shape[1:]
        products = (candidates[..., None] * self.of_product).transpose(1, 2).flatten(2)  # [Q, D, C * PAIR]
        pairs = (history @ products).unflatten(-1, (wanted, -1))
        pairs = pairs + self.of_item(history)[:, :, None] + self.of_candidate(candidates)[:, None]
        weights = self.weigh(pairs)[..., 0] * real[..., None]  # [P, T, C]
        which = functional.one_hot(self.stretch[: found[1]], self.num_stretches).to(history.dtype)
        pooled = torch.einsum("ptc,ts,ptd->pcsd", weights, which, history).flatten(2)
        whole = torch.cat([pooled, candidates.expand(found[0], -1, width)], -1)
        scores: Tensor = self.score(whole)[..., 0]
        return scores


def stretches(length: int) -> Int[Tensor, " T"]:
    """The stretch of every age, 0 for the latest item: 0, 1, 2, 3, 3, 4, 4, 5, 5, 6, ...

    More items than the stretches hold lie in the last one.
    """
    ages = torch.repeat_interleave(torch.arange(len(STRETCHES)), torch.tensor(STRETCHES))
    return torch.cat([ages, ages[-1:].expand(max(0, length - len(ages)))])[:length].clone()
