"""The model of `hierarchical`: vectors of items and nodes, states of histories, losses, and the two searches.

Letters as in `hierarchical`; X nodes looked at, n nodes of a level.
"""

import functools
from collections.abc import Callable, Iterable, Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from unisid.artifacts.catalog import Catalog
from unisid.backbones import NO_LIMITS, PAD, Backbone, Batch, Index, Limits, check_length, hierarchical
from unisid.backbones.hierarchical.search import (
    best_of_all,
    best_of_trie,
    candidates,
    parts_of_all,
    some_of_all,
    trie_log_probs,
)
from unisid.backbones.hierarchical.states import States
from unisid.backbones.hierarchical.unused import log_mass_of_unused
from unisid.backbones.parts.candidates import CANDIDATES, TABLE, Candidates, best_items, fit_to
from unisid.decoding.beam import Beam, Ranked
from unisid.decoding.hierarchy import Below, Children, parents, paths, segment_log_softmax, sizes_below
from unisid.decoding.trie import Trie
from unisid.layers.dense import sample_size, softmax_loss, training_counts
from unisid.layers.history import Repeat, at_end, seen_at_end, seen_in_windows
from unisid.layers.new_items import offset_of
from unisid.layers.part_weights import PartWeights, with_weights
from unisid.layers.recall import Memory
from unisid.layers.renumbered import counted, rows_of
from unisid.layers.transformer import CausalTransformer, start
from unisid.ops.blend import weighted_sum
from unisid.ops.principal import like, principal, project

EXACT = 1 << 16
"""A catalogue of no more items is scored whole; a larger one is searched by beams."""


class Hierarchical(Backbone):
    """The recommender over items: two transformers, vectors of codes, content and items, and the memory."""

    counts: Tensor
    paths: Tensor
    new_offset: float = 0.0
    """What is added to the score of an item that is new (`layers.new_items`)."""

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
        self.memory = Memory(config.memory, num_items) if config.memory is not None else None
        parts = self.memory.parts if self.memory is not None else ()
        self.register_buffer("counts", torch.zeros(num_items))
        heads, recalled = [1 / (1 + config.dense)] * (1 + config.dense), [TABLE] * len(parts)
        self.part_weights = PartWeights(heads + recalled)
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
        check_length("hierarchical", self.config.max_length, catalog.history_length)
        for term in self.repeats:
            term.get_buffer("longest").fill_(catalog.history_length)
        self.counts.copy_(training_counts(catalog))
        self.part_weights.count(self.counts)
        if self.memory is not None:
            self.memory.count(catalog, index.vectors)

    def load(self, weights: Mapping[str, Tensor], index: Index) -> None:
        held, added = with_weights(weights), len(index.codes) - len(weights["counts"])
        for number, term in enumerate(self.repeats):
            held.setdefault(f"repeats.{number}.longest", term.get_buffer("longest"))
        for noun in self.config.content:
            mean, axes = held[f"{noun}_mean"], held[f"{noun}_axes"]
            setattr(self, f"{noun}_mean", mean)
            setattr(self, f"{noun}_axes", axes)
            given = index.vectors.get(noun)
            new = _projected(None if given is None else given[-added:], mean, axes, added, self.config.content_width)
            held[noun] = torch.cat([held[noun], new]) if added else held[noun]
        if self.memory is not None:
            held = self.memory.extended(held, "memory.", added)
        fillers = {"own.weight": 0.0, "counts": 0.0}
        for name, filler in fillers.items():
            if name in held:
                rows = held[name].new_full((added, *held[name].shape[1:]), filler)
                held[name] = torch.cat([held[name], rows])
        self.load_state_dict(held)
        self._lay_out(index)
        if added and self.memory is not None:  # new items are recalled by what they are like
            self.memory.take_in(len(index.codes) - added, index.vectors, index.titles)

    def renumbered(self, weights: Mapping[str, Tensor], was: Int[Tensor, " N"], index: Index) -> Mapping[str, Tensor]:
        held = with_weights(weights)
        if "own.weight" in held:
            held["own.weight"] = rows_of(held["own.weight"], was)
        for noun in self.config.content:
            before, given = rows_of(held[noun], was), index.vectors.get(noun)
            known = (was >= 0) & before.any(1)
            if given is not None and known.any():  # a graph that was learned anew has other axes
                held[f"{noun}_mean"], held[f"{noun}_axes"] = like(given[known], before[known])
                before = project(given, held[f"{noun}_mean"], held[f"{noun}_axes"])
            held[noun] = before
        return held | counted(self, weights["counts"], was)

    # Vectors and states

    def vectors(self, items: Int[Tensor, "*x"], index: Index) -> Float[Tensor, "*x D"]:
        """Vectors of items, from their codes and content."""
        codes = index.codes[items].long()
        found = sum(table(codes[..., level]) for level, table in enumerate(self.codes))
        for noun, into in self.content.items():
            found = found + into(self.get_buffer(noun)[items])
        assert isinstance(found, Tensor)
        return found

    def level_vectors(self, level: int, nodes: Int[Tensor, "*x"], index: Index) -> Float[Tensor, "*x D"]:
        """Vectors of a level's nodes, from the codes of their prefix and the mean content below them."""
        items = index.trie.items[index.trie.levels[level].first_leaf[nodes].long()].long()  # one below each
        if level == len(index.sizes) - 1:
            return self._scaled(self.vectors(items, index).float())
        codes = index.codes[items].long()
        found = sum(table(codes[..., number]) for number, table in enumerate(self.codes[: level + 1]))
        for noun, into in self.content.items():
            found = found + into(self.get_buffer(f"{noun}_mean_{level}")[nodes])
        assert isinstance(found, Tensor)
        return self._scaled(found.float())

    def _scaled(self, vectors: Float[Tensor, "*x D"]) -> Float[Tensor, "*x D"]:
        """Of length 1 where cosines are compared; else as they are."""
        return functional.normalize(vectors, dim=-1) if self.config.temperature else vectors

    def _states(
        self, histories: Int[Tensor, "B T"], index: Index
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B T D"] | None]:
        """The states of each transformer after every item of a history."""
        items, (read, *dense) = histories.clamp_min(0), self.transformers
        first = read(self.vectors(items, index)).float()
        return first, dense[0](self.own(items)).float() if dense and self.own is not None else None

    def last_states(
        self, histories: Int[Tensor, "B T"], index: Index, taken: Int[Tensor, "B E"] | None = None
    ) -> States:
        """The states after each whole history, which holds the last of all that was taken."""
        lengths = (histories != PAD).sum(1)
        seen = seen_at_end(histories if taken is None else taken, self.config.max_length)
        rows = torch.arange(len(histories), device=histories.device)
        first, dense = self._states(histories, index)
        return States(first[rows, lengths - 1], None if dense is None else dense[rows, lengths - 1], seen)

    # What is added to logits

    def repeat(self, states: States, head: int) -> Float[Tensor, "P T"]:
        """b of every distinct item of the history, 0 elsewhere; of the trie (0) or the dense head (1)."""
        if not self.config.repeat:
            return torch.zeros_like(states.seen.items, dtype=states.trie.dtype)
        values = states.trie if head == 0 else states.dense
        found: Tensor = self.repeats[head](values, states.seen)
        return found

    def query(self, states: States, level: int) -> Float[Tensor, "P D"]:
        """The queries that a level's node vectors are compared with."""
        found: Tensor = self.heads[level](states.trie + self.steps[level](states.trie))
        return self._scaled(found.float()) / (self.config.temperature or 1.0)

    def below(self, states: States, trie: Trie) -> Below:
        """The repeat term's mass on the items of each history, to be summed below nodes."""
        return Below.of(trie, states.seen.items, self.repeat(states, 0).expm1())

    def added(
        self, states: States, level: int, rows: Int[Tensor, "*x"], nodes: Int[Tensor, "*x"], again: Below, trie: Trie
    ) -> Float[Tensor, "*x"]:
        """The repeat term for nodes of a level, at the positions `rows`."""
        if not self.config.repeat:
            return torch.zeros_like(rows, dtype=states.trie.dtype)
        at = trie.levels[level]
        share = again.sum(at, rows, nodes) / sizes_below(at)[nodes]
        return share.clamp_min(-1 + 1e-6).log1p()

    # Learning

    def loss(self, batch: Batch, index: Index) -> Float[Tensor, ""]:
        every = batch.targets if self.config.targets == "all" else at_end(batch.histories, batch.targets)
        real = every != PAD
        seen = seen_in_windows(batch.histories, real)
        first, dense = self._states(batch.histories, index)
        states = States(first[real], None if dense is None else dense[real], seen)
        targets = every[real]
        dense_loss = 0.0 if self.own is None else self._dense_loss(states, self.own, targets)
        log_p = self.path_log_probs(states, targets, index, unused=self.config.softmax == "codebook")
        return (dense_loss - log_p.sum()) / len(targets)

    def log_probs(
        self, histories: Int[Tensor, "B T"], targets: Int[Tensor, " B"], index: Index
    ) -> Float[Tensor, "B L"]:
        return self.path_log_probs(self.last_states(histories[:, -self.config.max_length :], index), targets, index)

    def log_probs_of(
        self, histories: Int[Tensor, "B T"], items: Int[Tensor, "B C"], index: Index
    ) -> Float[Tensor, "B C L"]:
        states = self.last_states(histories[:, -self.config.max_length :], index).repeated(items.shape[1])
        return self.path_log_probs(states, items.clamp_min(0).flatten(), index).unflatten(0, items.shape)

    def path_log_probs(
        self, states: States, targets: Int[Tensor, " P"], index: Index, *, unused: bool = False
    ) -> Float[Tensor, "P L"]:
        """log p of the node on the target's path among its siblings, level by level; `unused`: among all codes."""
        path, below = self.paths[targets], self.below(states, index.trie)
        found = []
        for number, level in enumerate(index.trie.levels):
            children = Children.of(level, path[:, number - 1] if number else torch.zeros_like(targets))
            logits = self._child_logits(states, number, children, index)
            logits = logits + self.added(states, number, children.row, children.node, below, index.trie)
            log_p = segment_log_softmax(logits, children.row, len(targets))
            taken = children.node == path[children.row, number]
            found.append(log_p[taken])
            if unused:
                beside = log_mass_of_unused(self, states, number, targets, children, index)
                found[-1] = log_p[taken] - functional.softplus(beside - (logits - log_p)[taken])
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
        assert states.dense is not None
        size = sample_size(self.config.negatives, len(self.counts))
        return softmax_loss(states.dense, own, states.seen, self.repeat(states, 1), targets, self.counts, size)

    # Searching

    def was_learned(self) -> Bool[Tensor, " N"]:
        """Whether an item's own vector was learned: it occurs in the training interactions."""
        return self.counts > 0

    def weights_of(self, states: States) -> Float[Tensor, "B F"]:
        """The weights of the parts of every history's scores."""
        return self.part_weights.of(states.seen.before, self.counts)

    def weigh_new(self, catalog: Catalog, index: Index, share: float | None = None) -> float:
        self.new_offset = offset_of(functools.partial(self._scores, index), catalog, ~self.was_learned(), share)
        return self.new_offset

    def _scores(
        self, index: Index, histories: Int[Tensor, "B T"], taken: Int[Tensor, "B E"] | None
    ) -> Float[Tensor, "B N"]:
        """Scores of all items; those of new items are not raised."""
        states = self.last_states(histories[:, -self.config.max_length :], index, taken)
        return weighted_sum(self.weights_of(states), parts_of_all(self, states, index))

    def search(
        self,
        histories: Int[Tensor, "B T"],
        index: Index,
        *,
        k: int,
        beam: Beam,
        limits: Limits = NO_LIMITS,
        renormalised: bool = False,
    ) -> Ranked:
        """The trie's scores are log p; with a dense head or a memory they are sums, unless `renormalised`."""
        states = self.last_states(histories[:, -self.config.max_length :], index, limits.taken)
        if len(index.codes) <= EXACT:
            return best_of_all(self, states, index, k, limits, renormalised)
        return candidates(self, states, index, beam, limits).chosen(self.part_weights, index, k, limits)

    def likeliest(self, histories: Int[Tensor, "B T"], index: Index, *, k: int, limits: Limits = NO_LIMITS) -> Ranked:
        states = self.last_states(histories[:, -self.config.max_length :], index, limits.taken)
        if len(index.codes) <= EXACT:
            return best_items(trie_log_probs(self, states, index), index, k, limits)
        return best_of_trie(self, states, index, k, limits)

    def blend(
        self, samples: Iterable[tuple[Batch, Limits]], index: Index, total: Callable[[Tensor], Tensor]
    ) -> dict[str, float]:
        if len(self.part_weights) > 1:
            found = (self._candidates(*sample, index).judged(sample[0].targets) for sample in samples)
            fit_to(found, self.part_weights, total)
        names = ["trie", "dense"][: 1 + self.config.dense] + [
            part.name for part in (self.memory.parts if self.memory is not None else ())
        ]
        return self.part_weights.figures(names)

    @torch.no_grad()
    def _candidates(self, batch: Batch, limits: Limits, index: Index) -> Candidates:
        """The best candidates of validation samples."""
        states = self.last_states(batch.histories[:, -self.config.max_length :], index, limits.taken)
        size = min(CANDIDATES, len(index.codes))
        if len(index.codes) <= EXACT:
            return some_of_all(self, states, index, size, limits)
        return candidates(self, states, index, size, limits).best(self.part_weights, size)


def _projected(values: Tensor | None, mean: Tensor, axes: Tensor, count: int, width: int) -> Float[Tensor, "N C"]:
    return torch.zeros(count, width) if values is None else project(values, mean, axes)
