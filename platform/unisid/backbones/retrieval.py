"""Every item compared with the state (VQ-Rec): codes make the items' vectors, and nothing is generated.

    log p(item) = log softmax over all items of (cos(s, x_item) / temperature + b_item)

x is the mean of the codes' vectors and s the state of a transformer over them (`backbones.pooled`); b is the repeat
term of items that the history holds (`layers.history`), learned with the rest. Hou et al., "Learning Vector-Quantized
Item Representation for Transferable Sequential Recommenders" (WWW 2023), without its pre-training over several domains.

By level, log p(code | history, codes before) is that of the items below one prefix among those below the shorter one.

B histories, P positions, N items, L levels, D width.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from unisid.artifacts.catalog import Catalog
from unisid.backbones import Index
from unisid.backbones.pooled import Pooled, PooledConfig, States
from unisid.decoding.hierarchy import paths
from unisid.layers.history import Repeat
from unisid.ops.dense_softmax import dense_softmax_loss


@dataclass(frozen=True, kw_only=True)
class Config(PooledConfig):
    """The repeat term."""

    repeat: bool = True
    """Learn a term for items that the history holds."""

    def build(self, index: Index) -> "Retrieval":
        return Retrieval(self, index)


class Retrieval(Pooled):
    """A softmax over the items' pooled vectors."""

    def __init__(self, config: Config, index: Index) -> None:
        super().__init__(config, index, ("items",))
        self.repeat = Repeat(config.width, config.max_length) if config.repeat else None

    def count(self, catalog: Catalog, index: Index) -> None:
        super().count(catalog, index)
        if self.repeat is not None:
            self.repeat.get_buffer("longest").fill_(catalog.history_length)

    def again(self, states: States) -> Float[Tensor, "P T"]:
        """b of every distinct item of the history, 0 elsewhere."""
        if self.repeat is None:
            return torch.zeros_like(states.seen.items, dtype=states.hidden.dtype)
        found: Tensor = self.repeat(states.hidden, states.seen)
        return found

    def unit_vectors(self, index: Index) -> Float[Tensor, "N D"]:
        """Of all items, of length 1."""
        tokens = index.tokens(torch.arange(len(index.codes), device=self.codes.weight.device))
        return functional.normalize(self.item_vectors(tokens).float(), dim=-1)

    def queries(self, states: States) -> Float[Tensor, "P D"]:
        """What the items' vectors are compared with."""
        return functional.normalize(states.hidden, dim=-1) / self.config.temperature

    def head_loss(self, states: States, targets: Int[Tensor, " P"], index: Index) -> Float[Tensor, ""]:
        again, items = self.again(states), self.unit_vectors(index)
        total: Tensor = dense_softmax_loss(self.queries(states), items, states.seen.items, again, targets)
        return total / len(targets)

    def head_parts(self, states: States, index: Index) -> Iterator[Float[Tensor, "P N"]]:
        logits = self.queries(states) @ self.unit_vectors(index).T
        yield logits.scatter_add(1, states.seen.items, self.again(states)).log_softmax(1)

    def log_probs(
        self, histories: Int[Tensor, "B T"], targets: Int[Tensor, " B"], index: Index
    ) -> Float[Tensor, "B L"]:
        scores = next(self.head_parts(self.last_states(histories, index), index))
        path = paths(index.trie)
        inside = [path[:, level] == path[targets, level, None] for level in range(path.shape[1])]
        masses = [scores.masked_fill(~below, -torch.inf).logsumexp(1) for below in inside]
        return torch.stack(masses, 1).diff(dim=1, prepend=scores.new_zeros(len(scores), 1))
