"""EAGER's semantic-guided transfer: a state of one stream helps to restore the codes of the other (its section 3.4).

    x = [class; y_1 .. y_l] + positions + W s          h = block(x), every place seeing all

Attention to the single state s is the same linear map at every place, so it is written as W s. Two tasks share the
block: a code that was hidden is to be found among the codes of its level, and the class says whether a code was
exchanged. B samples, l levels, K codes of a level, D width.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from unisid.layers.transformer import SPREAD, Block


class Transfer(nn.Module):
    """The block, what stands for a hidden code, and the two heads."""

    def __init__(self, width: int, num_heads: int, feedforward_width: int, levels: int) -> None:
        super().__init__()
        self.hidden, self.first = (nn.Parameter(torch.randn(width) * SPREAD) for _ in range(2))
        self.positions = nn.Parameter(torch.randn(levels + 1, width) * SPREAD)
        self.guide = nn.Linear(width, width)
        self.block = Block(width, num_heads, feedforward_width, 0.0, norm_first=False)
        self.exchanged = nn.Linear(width, 1)

    def loss(
        self, codes: Int[Tensor, "B l"], tables: Sequence[Float[Tensor, "_ D"]], state: Float[Tensor, "B D"]
    ) -> Float[Tensor, ""]:
        """Reconstruction and recognition added, means over samples; the state and the codes to be found are fixed."""
        return self.reconstruction(codes, tables, state) + self.recognition(codes, tables, state)

    def reconstruction(
        self, codes: Int[Tensor, "B l"], tables: Sequence[Float[Tensor, "_ D"]], state: Float[Tensor, "B D"]
    ) -> Float[Tensor, ""]:
        """-log softmax over the codes of a level, of the one that was hidden at a drawn level."""
        rows = torch.arange(len(codes), device=codes.device)
        level = torch.randint(codes.shape[1], (len(codes),), device=codes.device)
        vectors = self._vectors(codes, tables)
        hides = functional.one_hot(level, codes.shape[1]).bool()
        found = self.read(torch.where(hides[..., None], self.hidden.to(vectors.dtype), vectors), state)
        found, loss = found[rows, 1 + level], state.new_zeros(())
        for number, table in enumerate(tables):
            own = level == number
            scores = (found[own] @ table.detach().T).float()
            loss = loss + functional.cross_entropy(scores, codes[own, number], reduction="sum")
        return loss / len(codes)

    def recognition(
        self, codes: Int[Tensor, "B l"], tables: Sequence[Float[Tensor, "_ D"]], state: Float[Tensor, "B D"]
    ) -> Float[Tensor, ""]:
        """Whether one code was exchanged for another of its level: cross-entropy of true and exchanged rows."""
        other = exchange(codes, tuple(len(table) for table in tables))
        true, false = (
            self.exchanged(self.read(self._vectors(each, tables), state)[:, 0])[:, 0].float() for each in (codes, other)
        )
        return (functional.softplus(true) + functional.softplus(-false)).mean()

    def read(self, vectors: Float[Tensor, "B l D"], state: Float[Tensor, "B D"]) -> Float[Tensor, "B l1 D"]:
        """h of the class and of every code."""
        first = self.first.expand(len(vectors), 1, -1)
        values = torch.cat([first, vectors], 1) + self.positions + self.guide(state.detach())[:, None]
        seen = torch.zeros(1, values.shape[1], dtype=torch.bool, device=values.device)
        found: Tensor = self.block(values, seen)
        return found

    @staticmethod
    def _vectors(codes: Int[Tensor, "B l"], tables: Sequence[Float[Tensor, "_ D"]]) -> Float[Tensor, "B l D"]:
        return torch.stack([table[codes[:, number]] for number, table in enumerate(tables)], 1)


def exchange(codes: Int[Tensor, "B l"], sizes: tuple[int, ...]) -> Int[Tensor, "B l"]:
    """Every row with the code of one drawn level replaced by another of that level."""
    level = torch.randint(codes.shape[1], (len(codes),), device=codes.device)
    rows = torch.arange(len(codes), device=codes.device)
    size = torch.tensor(sizes, device=codes.device)[level]
    step = 1 + (torch.rand(len(codes), device=codes.device) * (size - 1)).long()
    found = codes.clone()
    found[rows, level] = (codes[rows, level] + step) % size
    return found
