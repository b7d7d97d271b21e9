"""The model of `hierarchical`: vectors of items and nodes, states of histories, losses, and the two searches.

Letters as in `hierarchical`; X nodes looked at, n nodes of a level.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unisid.artifacts.catalog import TRAIN, Catalog
from unisid.backbones import NO_LIMITS, PAD, Backbone, Batch, Index, Limits, hierarchical
from unisid.backbones.hierarchical_search import by_beams, exact
from unisid.errors import ConfigError
from unisid.layers.transformer import Block, start
from unisid.ops import trie as tries
from unisid.ops.beam import Ranked
from unisid.ops.dense_softmax import dense_softmax_loss
from unisid.ops.dropout import dropout
from unisid.ops.hierarchy import Below, Children, parents, paths, segment_log_softmax, sizes_below
from unisid.ops.principal import principal, project
from unisid.ops.transitions import count_transitions, own_share, recall
from unisid.ops.trie import Trie

EXACT = 1 << 16
"""A catalogue of no more items is scored whole; a larger one is searched by beams."""
QUICK = 20.0
"""Factor on the repeat term's tables, so that a step of Adam moves them by so many times its rate."""
LATEST = 8
"""Items of a history that recall others."""
HIGHEST = 8.0
"""Of a repeat term's value, so that e to its power stays exact in sums."""


class Seen:
    """What stands before P positions: the history's items, the latest first, and what the memory recalls."""

    def __init__(self, before: Int[Tensor, "P T"], known: Int[Tensor, "P J"], mass: Float[Tensor, "P J"]) -> None:
        same = (before[:, :, None] == before[:, None, :]) & (before != PAD)[:, :, None]
        self.items, self.times = before.clamp_min(0), same.sum(2).clamp_max(3)
        self.real = (before != PAD) & ~same.tril(-1).any(2)  # an item that came again counts at its latest place
        self.known, self.mass = known, mass


class Hierarchical(Backbone):
    """Weights of the transformer, of items, nodes and codes, and the transition table."""

    next_items: Tensor
    next_values: Tensor
    counts: Tensor
    memory_factor: Tensor
    dense_weight: Tensor
    paths: Tensor

    def __init__(self, config: "hierarchical.Config", index: Index) -> None:
        super().__init__()
        self.config, width, levels = config, config.width, len(index.sizes)
        num_items = len(index.codes)
        self.own = nn.Embedding(num_items, width) if config.own else None
        self.nodes = nn.ModuleList(nn.Embedding(len(level), width) for level in index.trie.levels[:-1] if config.own)
        self.codes = nn.ModuleList(nn.Embedding(size, width) for size in index.sizes)
        self.content = nn.ModuleDict({noun: nn.Linear(config.content_width, width) for noun in config.content})
        self.positions = nn.Embedding(config.max_length, width)
        self.blocks = nn.ModuleList(
            Block(width, config.num_heads, config.feedforward_width, config.dropout, norm_first=True)
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.steps = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)) for _ in range(levels)
        )
        self.heads = nn.ModuleList(nn.LayerNorm(width) for _ in range(levels))
        start(self)
        if config.repeat:
            self.age, self.times = nn.Parameter(torch.zeros(config.max_length)), nn.Parameter(torch.zeros(4))
            self.again = _zero(nn.Linear(width, 1))
        if config.memory:
            self.trust = _zero(nn.Linear(width, levels + 1), 0.3)
            self.eps = nn.Parameter(torch.full((levels + 1,), math.log(0.1)))
        self.register_buffer("next_items", torch.full((num_items, config.transitions), PAD))
        self.register_buffer("next_values", torch.zeros(num_items, config.transitions))
        self.register_buffer("counts", torch.zeros(num_items))
        self.register_buffer("memory_factor", torch.tensor(1.0))
        self.register_buffer("dense_weight", torch.tensor(0.5 if config.dense else 0.0))
        for noun in config.content:
            values = index.vectors.get(noun)
            mean, axes = principal(values, config.content_width) if values is not None else (torch.zeros(0),) * 2
            self.register_buffer(f"{noun}_mean", mean)
            self.register_buffer(f"{noun}_axes", axes)
            self.register_buffer(noun, _projected(values, mean, axes, num_items, config.content_width))
        self._lay_out(index)

    # What is kept beside the weights, and comes from the index or the catalogue

    def _lay_out(self, index: Index) -> None:
        """Every item's path, every node's parent, size and mean content: of the index, not saved."""
        levels = index.trie.levels
        self.register_buffer("paths", paths(index.trie), persistent=False)
        for number, level in enumerate(levels):
            self.register_buffer(f"parents_{number}", parents(level), persistent=False)
            for noun in self.config.content if number < len(levels) - 1 else ():
                total = torch.zeros(len(level), self.config.content_width)
                total.index_add_(0, self.paths[:, number], self.get_buffer(noun).float())
                mean = total / sizes_below(level)[:, None]
                self.register_buffer(f"{noun}_mean_{number}", mean, persistent=False)

    def count(self, catalog: Catalog, index: Index) -> None:
        if catalog.history_length > self.config.max_length:
            raise ConfigError(f"hierarchical.max_length: is {self.config.max_length}, the catalogue's histories have "
                              f"{catalog.history_length} items; must be at least that")  # fmt: skip
        if self.config.memory:
            rows = catalog.split == TRAIN
            found = count_transitions(
                catalog.item[rows].astype("int64"), catalog.user[rows].astype("int64"), catalog.num_items,
                self.config.pairs, self.config.transitions,
            )  # fmt: skip
            for name, values in zip(("next_items", "next_values", "counts"), found, strict=True):
                getattr(self, name).copy_(values)

    def load(self, weights: Mapping[str, Tensor], index: Index) -> None:
        held, added = dict(weights), len(index.codes) - len(weights["counts"])
        for noun in self.config.content:
            mean, axes = held[f"{noun}_mean"], held[f"{noun}_axes"]
            setattr(self, f"{noun}_mean", mean)
            setattr(self, f"{noun}_axes", axes)
            given = index.vectors.get(noun)
            new = _projected(None if given is None else given[-added:], mean, axes, added, self.config.content_width)
            held[noun] = torch.cat([held[noun], new]) if added else held[noun]
        if added:
            _extend(held, index, added)
        self.load_state_dict(held)
        self._lay_out(index)

    # Vectors

    def vectors(self, items: Int[Tensor, "*x"], index: Index) -> Float[Tensor, "*x D"]:
        """Of items, for histories and for the leaves of the trie alike."""
        codes = index.codes[items].long()
        found = sum(table(codes[..., level]) for level, table in enumerate(self.codes))
        for noun, into in self.content.items():
            found = found + into(self.get_buffer(noun)[items])
        assert isinstance(found, Tensor)
        return found if self.own is None else found + self._own(self.own(items))

    def node_vectors(self, level: int, nodes: Int[Tensor, "*x"], index: Index) -> Float[Tensor, "*x D"]:
        """Of nodes above the leaves."""
        found: Tensor = self.codes[level](index.trie.levels[level].codes[nodes].long())
        for noun, into in self.content.items():
            found = found + into(self.get_buffer(f"{noun}_mean_{level}")[nodes])
        return found if self.own is None else found + self._own(self.nodes[level](nodes))

    def _own(self, values: Float[Tensor, "*x D"]) -> Float[Tensor, "*x D"]:
        """Own vectors, some left out while training."""
        rate = self.config.own_dropout
        if not self.training or not rate:
            return values
        kept = torch.rand(values.shape[:-1], device=values.device) >= rate
        return values * (kept / (1 - rate))[..., None]

    # States and what stands before them

    def states(self, histories: Int[Tensor, "B T"], index: Index) -> Float[Tensor, "B T D"]:
        """After every item of a history; what is filled up stands behind, and attention looks back only."""
        length = histories.shape[1]
        rate = self.config.dropout if self.training else 0.0
        values = self.vectors(histories.clamp_min(0), index) * math.sqrt(self.config.width)
        values = dropout(values + self.positions.weight[:length], rate)
        later = torch.ones(length, length, dtype=torch.bool, device=histories.device).triu(1)
        for block in self.blocks:
            values = block(values, later)
        found: Tensor = self.norm(values)
        return found.float()

    def last_states(self, histories: Int[Tensor, "B T"], index: Index) -> tuple[Float[Tensor, "B D"], Seen]:
        """The state after each whole history, and what stands before it."""
        lengths = (histories != PAD).sum(1)
        before = _latest_first(histories, lengths - 1)
        rows = torch.arange(len(histories), device=histories.device)
        return self.states(histories, index)[rows, lengths - 1], Seen(before, *self._recalled(before))

    def _recalled(self, before: Int[Tensor, "P T"]) -> tuple[Int[Tensor, "P J"], Float[Tensor, "P J"]]:
        """Items that the transition table recalls, none of the history among them, and their mass."""
        size = self.config.memory
        if not size:
            return before[:, :0].clamp_min(0), before[:, :0].float()
        latest, recency = before[:, :LATEST], self.config.recency
        known, mass = recall(self.next_items, self.next_values, latest, recency, size + before.shape[1])
        mass = mass.masked_fill((known[:, :, None] == before[:, None, :]).any(2), 0.0)
        top = mass.topk(min(size, mass.shape[1]), dim=1)
        return known.gather(1, top.indices), top.values

    @torch.no_grad()
    def _windowed(self, batch: Batch) -> tuple[Bool[Tensor, "B T"], Seen]:
        """What stands before every place of a window that has a target, the user's later pairs taken out."""
        real = batch.targets != PAD
        length = batch.histories.shape[1]
        whole = torch.cat([batch.histories[:, :1], _after_first(batch)], 1)
        before = _latest_first(batch.histories.repeat_interleave(length, 0),
                               torch.arange(length, device=real.device).repeat(len(real)))[real.flatten()]  # fmt: skip
        known, mass = self._recalled(before)
        if self.config.memory:
            weights = self.config.pairs
            own = own_share(whole, weights.scale(self.counts), weights, self.config.recency, LATEST)[:, :length]
            places = torch.arange(whole.shape[1], device=real.device)
            own = own.masked_fill(places[None, None, :] <= places[None, :length, None], 0.0)[real]
            window = whole.repeat_interleave(length, 0)[real.flatten()]
            mass = mass - ((known[:, :, None] == window[:, None, :]) * own[:, None, :]).sum(2)
            mass = torch.where(mass > 1e-6, mass, 0.0)
        return real, Seen(before, known, mass)

    # What is added to logits

    def repeat(self, states: Float[Tensor, "P D"], seen: Seen) -> Float[Tensor, "P T"]:
        """b of every distinct item of the history, 0 elsewhere."""
        if not self.config.repeat:
            return torch.zeros_like(seen.items, dtype=states.dtype)
        age = self.age[: seen.items.shape[1]]
        value = QUICK * (age + self.times[seen.times]) + self.again(states)
        return torch.where(seen.real, value.clamp_max(HIGHEST), 0.0)

    def recalled(self, states: Float[Tensor, "P D"], head: int, mass: Float[Tensor, "P *x"]) -> Float[Tensor, "P *x"]:
        """trust * log(1 + mass / eps) of a head: a level's, or the dense one's after them."""
        if not self.config.memory:
            return torch.zeros_like(mass)
        trust = self.trust(states)[:, head].view(-1, *[1] * (mass.dim() - 1)) * self.memory_factor
        return trust * torch.log1p(mass / self.eps[head].exp())

    def query(self, states: Float[Tensor, "P D"], level: int) -> Float[Tensor, "P D"]:
        """What a level's node vectors are compared with."""
        found: Tensor = self.heads[level](states + self.steps[level](states))
        return found.float()

    # Learning

    def loss(self, batch: Batch, index: Index) -> Float[Tensor, ""]:
        real, seen = self._windowed(batch)
        states, targets = self.states(batch.histories, index)[real], batch.targets[real]
        total = -self._path_log_probs(states, seen, targets, index).sum()
        if self.config.dense:
            total = total + self._dense_loss(states, seen, targets, index)
        return total / len(targets)

    def log_probs(
        self, histories: Int[Tensor, "B T"], targets: Int[Tensor, " B"], index: Index
    ) -> Float[Tensor, "B L"]:
        states, seen = self.last_states(histories[:, -self.config.max_length :], index)
        return self._path_log_probs(states, seen, targets, index)

    def _path_log_probs(
        self, states: Float[Tensor, "P D"], seen: Seen, targets: Int[Tensor, " P"], index: Index
    ) -> Float[Tensor, "P L"]:
        """log p of the node on the target's path among its siblings, level by level."""
        path = self.paths[targets]
        again, mass = self.below(states, seen, index.trie)
        found = []
        for number, level in enumerate(index.trie.levels):
            above = path[:, number - 1] if number else torch.zeros_like(targets)
            children = Children.of(level, above)
            logits = self._child_logits(states, number, children, index)
            logits = logits + self.added(states, number, children.row, children.node, again, mass, index.trie)
            log_p = segment_log_softmax(logits, children.row, len(targets))
            found.append(log_p[children.node == path[children.row, number]])
        return torch.stack(found, 1)

    def _child_logits(
        self, states: Float[Tensor, "P D"], level: int, children: Children, index: Index
    ) -> Float[Tensor, " X"]:
        """<query, node> of every child, each node's vector made once."""
        query = self.query(states, level)
        unique, place = children.node.unique(return_inverse=True)
        vectors = self.level_vectors(level, unique, index)
        if level == 0:  # all nodes are children of the root: one product
            return (query @ vectors.T).flatten()
        return (query[children.row] * vectors[place]).sum(1)

    def level_vectors(self, level: int, nodes: Int[Tensor, "*x"], index: Index) -> Float[Tensor, "*x D"]:
        if level < len(index.sizes) - 1:
            return self.node_vectors(level, nodes, index).float()
        return self.vectors(index.trie.items[nodes].long(), index).float()

    def below(self, states: Float[Tensor, "P D"], seen: Seen, trie: Trie) -> tuple[Below, Below]:
        """What history and memory put on items, to be summed below nodes."""
        again = Below.of(trie, seen.items, self.repeat(states, seen).expm1())
        return again, Below.of(trie, seen.known, seen.mass)

    def added(
        self, states: Float[Tensor, "P D"], number: int, rows: Int[Tensor, "*x"], nodes: Int[Tensor, "*x"],
        again: Below, mass: Below, trie: Trie,
    ) -> Float[Tensor, "*x"]:  # fmt: skip
        """Both terms for nodes of a level, `rows` says of which state."""
        level = trie.levels[number]
        share = again.sum(level, rows, nodes) / sizes_below(level)[nodes]
        found = share.clamp_min(-1 + 1e-6).log1p()
        if self.config.memory:
            trust = (self.trust(states)[:, number] * self.memory_factor)[rows]
            found = found + trust * torch.log1p(mass.sum(level, rows, nodes).clamp_min(0) / self.eps[number].exp())
        return found

    def _dense_loss(
        self, states: Float[Tensor, "P D"], seen: Seen, targets: Int[Tensor, " P"], index: Index
    ) -> Float[Tensor, ""]:
        items = self.vectors(torch.arange(len(index.codes), device=states.device), index).float()
        added = torch.cat([self.repeat(states, seen), self.recalled(states, len(index.sizes), seen.mass)], 1)
        loss: Tensor = dense_softmax_loss(states, items, torch.cat([seen.items, seen.known], 1), added, targets)
        return loss

    # Searching

    def search(self, histories: Int[Tensor, "B T"], index: Index, *, k: int, beam: int, limits: Limits = NO_LIMITS,
               renormalised: bool = False) -> Ranked:  # fmt: skip
        """The trie's scores are log p; with the dense head, a mean of two, which `renormalised` makes log p again."""
        states, seen = self.last_states(histories[:, -self.config.max_length :], index)
        if len(index.codes) <= EXACT:
            return exact(self, states, seen, index, k, limits, renormalised)
        return by_beams(self, states, seen, index, k, beam, limits)

    def choices(self) -> Sequence[Mapping[str, float]]:
        """Steps of the two numbers that validation decides, from where they stand; the first stays."""
        factor, weight = float(self.memory_factor), float(self.dense_weight)
        found = [(factor, weight)]
        if self.config.memory:
            found += [(factor * 1.4, weight), (factor / 1.4, weight)]
        if self.config.dense:
            found += [(factor, min(1.0, weight + 0.15)), (factor, max(0.0, weight - 0.15))]
        return [{"memory_factor": one, "dense_weight": other} for one, other in found]

    def choose(self, choice: Mapping[str, float]) -> None:
        for name, value in choice.items():
            self.get_buffer(name).fill_(value)


def _zero(layer: nn.Linear, bias: float = 0.0) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, bias)
    return layer


def _projected(values: Tensor | None, mean: Tensor, axes: Tensor, count: int, width: int) -> Float[Tensor, "N C"]:
    return torch.zeros(count, width) if values is None else project(values, mean, axes)


def _latest_first(rows: Int[Tensor, "P T"], last: Int[Tensor, " P"]) -> Int[Tensor, "P T"]:
    """The entries of every row up to place `last`, the latest first, PAD after the earliest."""
    back = last[:, None] - torch.arange(rows.shape[1], device=rows.device)
    return torch.where(back >= 0, rows.gather(1, back.clamp_min(0)), PAD)


def _after_first(batch: Batch) -> Int[Tensor, "B W"]:
    """A window's targets and what the user took after them, without gaps."""
    assert batch.later is not None
    joined = torch.cat([batch.targets, batch.later], 1)
    order = (joined == PAD).long().argsort(dim=1, stable=True)
    return joined.gather(1, order)


def _extend(held: dict[str, Tensor], index: Index, added: int) -> None:
    """Rows for items that came after training: nothing is known of them but codes and content."""
    for name, filler in (("own.weight", 0.0), ("counts", 0.0), ("next_items", PAD), ("next_values", 0.0)):
        if name in held:
            rows = held[name].new_full((added, *held[name].shape[1:]), filler)
            held[name] = torch.cat([held[name], rows])
    before = tries.build(index.codes[:-added])
    old, new = paths(before), paths(index.trie)[:-added]
    for level in range(len(index.sizes) - 1):
        if (name := f"nodes.{level}.weight") in held:
            rows = held[name].new_zeros(len(index.trie.levels[level]), held[name].shape[1])
            rows[new[:, level]] = held[name][old[:, level]]
            held[name] = rows
