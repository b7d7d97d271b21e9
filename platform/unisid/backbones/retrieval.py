"""Every item compared with the state (VQ-Rec): codes make the items' vectors, and nothing is generated.

    log p(item) = log softmax over all items of (cos(s, x_item) / temperature + b_item)

x is the mean of the codes' vectors and s the state of a transformer over them (`parts.pooled`); b is the repeat
term of items that the history holds (`layers.history`), learned with the rest. Hou et al., "Learning Vector-Quantized
Item Representation for Transferable Sequential Recommenders" (WWW 2023), without its pre-training over several domains.

By level, log p(code | history, codes before) is that of the items below one prefix among those below the shorter one.

B histories, P positions, N items, L levels, D width.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from unisid.artifacts.catalog import Catalog
from unisid.backbones import Index
from unisid.backbones.parts.pooled import Pooled, PooledConfig, States
from unisid.bounds import CountOrNone
from unisid.decoding.hierarchy import paths
from unisid.layers.dense import sample_size, softmax_loss
from unisid.layers.history import Repeat


@dataclass(frozen=True, kw_only=True)
class Config(PooledConfig):
    """The repeat term."""

    repeat: bool = True
    """Learn a term for items that the history holds."""
    negatives: CountOrNone = 0
    """Items, drawn by how often they are taken, that a step learns from beside the targets; 0: all items up to 131,072,
    and 8,192 of a larger catalogue."""

    def build(self, index: Index) -> "Retrieval":
        return Retrieval(self, index)


class Retrieval(Pooled):
    """A softmax over the items' pooled vectors."""

    def __init__(self, config: Config, index: Index) -> None:
        super().__init__(config, index, ("items",))
        self.settings = config
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

    def unit_vectors(self, items: Int[Tensor, "*x"], index: Index) -> Float[Tensor, "*x D"]:
        """Vectors of items, of length 1."""
        vectors = self.item_vectors(index.tokens(items).flatten(0, -2)).float()
        return functional.normalize(vectors, dim=-1).view(*items.shape, -1)

    def queries(self, states: States) -> Float[Tensor, "P D"]:
        """The queries that the items' vectors are compared with."""
        return functional.normalize(states.hidden, dim=-1) / self.config.temperature

    def head_loss(self, states: States, targets: Int[Tensor, " P"], index: Index) -> Float[Tensor, ""]:
        size = sample_size(self.settings.negatives, len(self.counts))
        vectors = functools.partial(self.unit_vectors, index=index)
        queries, again = self.queries(states), self.again(states)
        return softmax_loss(queries, vectors, states.seen, again, targets, self.counts, size) / len(targets)

    def head_parts(self, states: States, index: Index) -> Iterator[Float[Tensor, "P N"]]:
        every = torch.arange(len(index.codes), device=states.hidden.device)
        logits = self.queries(states) @ self.unit_vectors(every, index).T
        yield logits.scatter_add(1, states.seen.items, self.again(states)).log_softmax(1)

    def log_probs(
        self, histories: Int[Tensor, "B T"], targets: Int[Tensor, " B"], index: Index
    ) -> Float[Tensor, "B L"]:
        scores = next(self.head_parts(self.last_states(histories, index), index))
        path = paths(index.trie)
        inside = [path[:, level] == path[targets, level, None] for level in range(path.shape[1])]
        masses = [scores.masked_fill(~below, -torch.inf).logsumexp(1) for below in inside]
        return torch.stack(masses, 1).diff(dim=1, prepend=scores.new_zeros(len(scores), 1))
