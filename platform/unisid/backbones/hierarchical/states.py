"""What the two transformers of `hierarchical` say of some positions.

P positions with a target, D width.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from unisid.layers.history import Seen


@dataclass(frozen=True)
class States:
    """The encoding of P positions: a state of each transformer, and the items before."""

    trie: Float[Tensor, "P D"]
    dense: Float[Tensor, "P D"] | None
    seen: Seen

    def rows(self, rows: slice) -> "States":
        """Some of the positions."""
        dense = None if self.dense is None else self.dense[rows]
        return States(self.trie[rows], dense, Seen(self.seen.before[rows]))

    def repeated(self, times: int) -> "States":
        """Every position so many times, one after the other."""
        dense = None if self.dense is None else self.dense.repeat_interleave(times, 0)
        return States(self.trie.repeat_interleave(times, 0), dense, Seen(self.seen.before.repeat_interleave(times, 0)))
