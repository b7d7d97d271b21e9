"""The model of `hierarchical`: vectors of items and nodes, states of histories, losses, and the two searches.

Letters as in `hierarchical`; X nodes looked at, n nodes of a level.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from unisid.artifacts.catalog import TRAIN, Catalog
from unisid.backbones import NO_LIMITS, PAD, Backbone, Batch, Index, Limits, hierarchical
from unisid.backbones.hierarchical_search import by_beams, exact
from unisid.decoding.beam import Ranked
from unisid.decoding.hierarchy import Below, Children, parents, paths, segment_log_softmax, sizes_below
from unisid.decoding.trie import Trie
from unisid.errors import ConfigError
from unisid.layers.history import Repeat, Seen, Trust
from unisid.layers.transformer import CausalTransformer, start
from unisid.ops.dense_softmax import dense_softmax_loss
from unisid.ops.principal import principal, project
from unisid.ops.transitions import count_transitions, own_share, recall

EXACT = 1 << 16
"""A catalogue of no more items is scored whole; a larger one is searched by beams."""
LATEST = 8
"""Items of a history that recall others."""
STEP = 1.6
"""Of a trust, when validation tries others."""
FIRST_TRUST = 4.0
"""Of a memory that takes no part in training, before validation decides."""


@dataclass(frozen=True)
class States:
    """What is known of P positions: a state of each transformer, and what stands before."""

    trie: Float[Tensor, "P D"]
    dense: Float[Tensor, "P D"] | None
    seen: Seen

    def rows(self, rows: slice) -> "States":
        """Some of the positions."""
        dense, seen = None if self.dense is None else self.dense[rows], self.seen
        return States(self.trie[rows], dense, Seen(seen.before[rows], seen.known[rows], seen.mass[rows]))

    def repeated(self, times: int) -> "States":
        """Every position so many times, one after the other."""
        parts = (self.seen.before, self.seen.known, self.seen.mass)
        dense = None if self.dense is None else self.dense.repeat_interleave(times, 0)
        seen = Seen(*(part.repeat_interleave(times, 0) for part in parts))
        return States(self.trie.repeat_interleave(times, 0), dense, seen)


class Hierarchical(Backbone):
    """Weights of the transformers, codes, content and own vectors; and the transition table."""

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
        self.codes = nn.ModuleList(nn.Embedding(size, width) for size in index.sizes)
        self.content = nn.ModuleDict({noun: nn.Linear(config.content_width, width) for noun in config.content})
        self.own = nn.Embedding(num_items, width) if config.dense else None
        sizes = (width, config.num_layers, config.num_heads, config.feedforward_width)
        self.transformers = nn.ModuleList(
            CausalTransformer(*sizes, config.dropout, config.max_length) for _ in range(1 + config.dense)
        )
        self.steps = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)) for _ in range(levels)
        )
        self.heads = nn.ModuleList(nn.LayerNorm(width) for _ in range(levels))
        start(self)
        self.repeats = nn.ModuleList(
            Repeat(width, config.max_length) for _ in range((1 + config.dense) * config.repeat)
        )
        self.trusts = nn.ModuleList(
            Trust(width, heads, config.eps) for heads in (levels, 1)[: (1 + config.dense) * config.learns_trust]
        )
        self.register_buffer("next_items", torch.full((num_items, config.transitions), PAD))
        self.register_buffer("next_values", torch.zeros(num_items, config.transitions))
        self.register_buffer("counts", torch.zeros(num_items))
        self.register_buffer("memory_factor", torch.tensor(1.0 if config.learns_trust else FIRST_TRUST))
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
        for name, filler in (("own.weight", 0.0), ("counts", 0.0), ("next_items", PAD), ("next_values", 0.0)):
            if name in held:
                rows = held[name].new_full((added, *held[name].shape[1:]), filler)
                held[name] = torch.cat([held[name], rows])
        self.load_state_dict(held)
        self._lay_out(index)

    # Vectors and states

    def vectors(self, items: Int[Tensor, "*x"], index: Index) -> Float[Tensor, "*x D"]:
        """Of items, from codes and content."""
        codes = index.codes[items].long()
        found = sum(table(codes[..., level]) for level, table in enumerate(self.codes))
        for noun, into in self.content.items():
            found = found + into(self.get_buffer(noun)[items])
        assert isinstance(found, Tensor)
        return found

    def level_vectors(self, level: int, nodes: Int[Tensor, "*x"], index: Index) -> Float[Tensor, "*x D"]:
        """Of a level's nodes, from the codes of their prefix and the mean content below them."""
        items = index.trie.items[index.trie.levels[level].first_leaf[nodes].long()].long()  # one below each
        if level == len(index.sizes) - 1:
            return self.vectors(items, index).float()
        codes = index.codes[items].long()
        found = sum(table(codes[..., number]) for number, table in enumerate(self.codes[: level + 1]))
        for noun, into in self.content.items():
            found = found + into(self.get_buffer(f"{noun}_mean_{level}")[nodes])
        assert isinstance(found, Tensor)
        return found.float()

    def _states(
        self, histories: Int[Tensor, "B T"], index: Index
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B T D"] | None]:
        """After every item of a history, of each transformer."""
        items = histories.clamp_min(0)
        read, *dense = self.transformers
        first = read(self.vectors(items, index)).float()
        return first, dense[0](self.own(items)).float() if dense and self.own is not None else None

    def last_states(self, histories: Int[Tensor, "B T"], index: Index) -> States:
        """After each whole history."""
        lengths = (histories != PAD).sum(1)
        before = _latest_first(histories, lengths - 1)
        rows = torch.arange(len(histories), device=histories.device)
        first, dense = self._states(histories, index)
        seen = Seen(before, *self._recalled(before))
        return States(first[rows, lengths - 1], None if dense is None else dense[rows, lengths - 1], seen)

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
    def _windowed(self, batch: Batch, real: Bool[Tensor, "B T"]) -> Seen:
        """What stands before every place of a window that has a target, the user's later pairs taken out."""
        length = batch.histories.shape[1]
        before = _latest_first(batch.histories.repeat_interleave(length, 0),
                               torch.arange(length, device=real.device).repeat(len(real)))[real.flatten()]  # fmt: skip
        if not self.config.learns_trust:
            return Seen(before, before[:, :0], before[:, :0].float())
        known, mass = self._recalled(before)
        weights = self.config.pairs
        whole = torch.cat([batch.histories[:, :1], _after_first(batch)], 1)
        own = own_share(whole, weights.scale(self.counts), weights, self.config.recency, LATEST)[:, :length]
        places = torch.arange(whole.shape[1], device=real.device)
        own = own.masked_fill(places[None, None, :] <= places[None, :length, None], 0.0)[real]
        window = whole.repeat_interleave(length, 0)[real.flatten()]
        mass = mass - ((known[:, :, None] == window[:, None, :]) * own[:, None, :]).sum(2)
        mass = torch.where(mass > 1e-6, mass, 0.0)
        return Seen(before, known, mass)

    # What is added to logits

    def repeat(self, states: States, head: int) -> Float[Tensor, "P T"]:
        """b of every distinct item of the history, 0 elsewhere; of the trie (0) or the dense head (1)."""
        if not self.config.repeat:
            return torch.zeros_like(states.seen.items, dtype=states.trie.dtype)
        values = states.trie if head == 0 else states.dense
        found: Tensor = self.repeats[head](values, states.seen)
        return found

    def recalled(
        self, states: States, level: int | None, mass: Float[Tensor, "*x"], rows: Int[Tensor, "*x"] | None = None
    ) -> Float[Tensor, "*x"]:
        """A learned trust * log(1 + mass / eps) at a level of the trie, or in the dense head (None); else 0.

        Args:
            rows: of which position each mass is; without, of the position in whose row it stands.
        """
        if not self.config.learns_trust:
            return torch.zeros_like(mass)
        head, values = (0, states.trie) if level is not None else (1, states.dense)
        trust, eps = self.trusts[head](values, level or 0)
        trust = trust.view(-1, *[1] * (mass.dim() - 1)) if rows is None else trust[rows]
        found: Tensor = self.memory_factor * trust * torch.log1p(mass / eps)
        return found

    def query(self, states: States, level: int) -> Float[Tensor, "P D"]:
        """What a level's node vectors are compared with."""
        found: Tensor = self.heads[level](states.trie + self.steps[level](states.trie))
        return found.float()

    def below(self, states: States, trie: Trie) -> tuple[Below, Below]:
        """What history and memory put on items, to be summed below nodes."""
        again = Below.of(trie, states.seen.items, self.repeat(states, 0).expm1())
        return again, Below.of(trie, states.seen.known, states.seen.mass)

    def added(
        self, states: States, level: int, rows: Int[Tensor, "*x"], nodes: Int[Tensor, "*x"],
        below: tuple[Below, Below], trie: Trie,
    ) -> Float[Tensor, "*x"]:  # fmt: skip
        """Both terms for nodes of a level, `rows` says of which position."""
        again, mass = below
        at = trie.levels[level]
        found = torch.zeros_like(rows, dtype=states.trie.dtype)
        if self.config.repeat:
            share = again.sum(at, rows, nodes) / sizes_below(at)[nodes]
            found = found + share.clamp_min(-1 + 1e-6).log1p()
        if self.config.learns_trust:
            found = found + self.recalled(states, level, mass.sum(at, rows, nodes).clamp_min(0), rows)
        return found

    def remembered(self, seen: Seen) -> Float[Tensor, "P J"]:
        """What a memory that took no part in training adds to the scores of the items it recalls."""
        if self.config.learns_trust:
            return torch.zeros_like(seen.mass)
        return self.memory_factor * torch.log1p(seen.mass / self.config.eps)

    # Learning

    def loss(self, batch: Batch, index: Index) -> Float[Tensor, ""]:
        real = batch.targets != PAD
        seen = self._windowed(batch, real)
        first, dense = self._states(batch.histories, index)
        states = States(first[real], None if dense is None else dense[real], seen)
        targets = batch.targets[real]
        total = -self.path_log_probs(states, targets, index).sum()
        if self.own is not None:
            total = total + self._dense_loss(states, self.own, targets)
        return total / len(targets)

    def log_probs(
        self, histories: Int[Tensor, "B T"], targets: Int[Tensor, " B"], index: Index
    ) -> Float[Tensor, "B L"]:
        return self.path_log_probs(self.last_states(histories[:, -self.config.max_length :], index), targets, index)

    def path_log_probs(self, states: States, targets: Int[Tensor, " P"], index: Index) -> Float[Tensor, "P L"]:
        """log p of the node on the target's path among its siblings, level by level."""
        path, below = self.paths[targets], self.below(states, index.trie)
        found = []
        for number, level in enumerate(index.trie.levels):
            children = Children.of(level, path[:, number - 1] if number else torch.zeros_like(targets))
            logits = self._child_logits(states, number, children, index)
            logits = logits + self.added(states, number, children.row, children.node, below, index.trie)
            log_p = segment_log_softmax(logits, children.row, len(targets))
            found.append(log_p[children.node == path[children.row, number]])
        return torch.stack(found, 1)

    def _child_logits(self, states: States, level: int, children: Children, index: Index) -> Float[Tensor, " X"]:
        """<query, node> of every child, each node's vector made once."""
        query = self.query(states, level)
        unique, place = children.node.unique(return_inverse=True)
        vectors = self.level_vectors(level, unique, index)
        if level == 0:  # all nodes are children of the root: one product
            return (query @ vectors.T).flatten()
        return (query[children.row] * vectors[place]).sum(1)

    def _dense_loss(self, states: States, own: nn.Embedding, targets: Int[Tensor, " P"]) -> Float[Tensor, ""]:
        seen = states.seen
        added = [self.repeat(states, 1), self.recalled(states, None, seen.mass)]
        items = torch.cat([seen.items, seen.known], 1)
        assert states.dense is not None
        loss: Tensor = dense_softmax_loss(states.dense, own.weight, items, torch.cat(added, 1), targets)
        return loss

    # Searching

    def was_learned(self) -> Bool[Tensor, " N"]:
        """Whether an item's own vector was learned: it occurs in the training interactions."""
        return self.counts > 0

    def search(self, histories: Int[Tensor, "B T"], index: Index, *, k: int, beam: int, limits: Limits = NO_LIMITS,
               renormalised: bool = False) -> Ranked:  # fmt: skip
        """The trie's scores are log p; with a dense head or a memory they are sums, unless `renormalised`."""
        states = self.last_states(histories[:, -self.config.max_length :], index)
        if len(index.codes) <= EXACT:
            return exact(self, states, index, k, limits, renormalised)
        return by_beams(self, states, index, k, beam, limits)

    def choices(self) -> Sequence[Mapping[str, float]]:
        """Steps of the numbers that validation decides, one at a time from where they stand; the first stays."""
        factor, weight = float(self.memory_factor), float(self.dense_weight)
        found = [(factor, weight)]
        if self.config.memory:
            found += [(factor * STEP, weight), (factor / STEP, weight)]
        if self.config.dense:
            found += [(factor, min(1.0, weight + 0.15)), (factor, max(0.0, weight - 0.15))]
        return [{"memory_factor": one, "dense_weight": other} for one, other in found]

    def choose(self, choice: Mapping[str, float]) -> None:
        for name, value in choice.items():
            self.get_buffer(name).fill_(value)


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
