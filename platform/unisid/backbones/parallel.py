"""Every code of the next item by itself (RPG): long semantic ids of product quantization, all predicted at once.

    h_l = s + SiLU(W_l s + b_l),    p_l(code) = softmax over the level's codes of cos(h_l, E_l[code]) / temperature
    log p(item) = sum over levels of log p_l(its code)

s is the state of a transformer over items whose vectors are the mean of their codes' (`parts.pooled`). Hou et al.,
"Generating Long Semantic IDs in Parallel for Recommendation" (KDD 2025). The codes are thought independent, so
no trie is needed to decode: every item's score is a sum over a table of codes, or a walk along a graph of items that
are alike by the codes' vectors finds the best of a large catalogue.

Softmaxes by level cannot say that one item of many with its codes is not taken again. Whether an item was taken, and
how lately, are parts of its score instead, whose weights validation fits.

B histories, P positions, N items, L levels, D width, K codes of the largest level, V codes of all levels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from unisid.backbones import NO_LIMITS, PAD, Index, Limits, level_starts
from unisid.backbones.parts.candidates import Candidates, may_be_answered
from unisid.backbones.parts.pooled import Pooled, PooledConfig, States
from unisid.bounds import Count
from unisid.decoding.beam import Beam, Ranked, check, widest
from unisid.decoding.walk import Graph, walk
from unisid.layers.history import taken_of_all, taken_of_some


@dataclass(frozen=True, kw_only=True)
class Config(PooledConfig):
    """The head's search."""

    decode: Literal["exact", "graph"] = "exact"
    """`exact`: every item is scored; `graph`: those that a walk along a graph of alike items meets, for catalogues of
    many millions."""
    edges: Count = 64
    """Neighbours of an item in the graph."""
    rounds: Count = 3
    """Steps of the walk; each scores at most beam times `edges` items."""

    def build(self, index: Index) -> "Parallel":
        return Parallel(self, index)


class Parallel(Pooled):
    """One step a level from the state, compared with the level's codes."""

    fits_excluded = True
    slots: Tensor
    there: Tensor

    def __init__(self, config: Config, index: Index) -> None:
        super().__init__(config, index, ("codes", "taken", "taken_lately"))
        self.settings, levels, most = config, len(index.sizes), max(index.sizes)
        self.steps = nn.Parameter(torch.zeros(levels, config.width, config.width))
        self.step_biases = nn.Parameter(torch.zeros(levels, 1, config.width))
        place = torch.arange(most).expand(levels, -1)
        sizes, starts = torch.tensor(index.sizes)[:, None], torch.tensor(level_starts(index.sizes, 0))[:, None]
        self.register_buffer("slots", starts + place.minimum(sizes - 1), persistent=False)
        self.register_buffer("there", place < sizes, persistent=False)
        self.graph: Graph | None = None

    def train(self, mode: bool = True) -> "Parallel":
        """As torch's; the graph was of the weights before."""
        self.graph = None
        super().train(mode)
        return self

    def level_log_probs(self, states: States) -> Float[Tensor, "L P K"]:
        """log p of every code of every level; -inf where a level has no such code."""
        steps = torch.baddbmm(self.step_biases, states.hidden.expand(len(self.steps), -1, -1), self.steps)
        queries = functional.normalize(states.hidden + functional.silu(steps), dim=-1) / self.config.temperature
        codes = functional.normalize(self.codes.weight, dim=-1)[self.slots]
        logits = (queries @ codes.transpose(1, 2)).float()
        return logits.masked_fill(~self.there[:, None], -torch.inf).log_softmax(-1)

    def log_probs(
        self, histories: Int[Tensor, "B T"], targets: Int[Tensor, " B"], index: Index
    ) -> Float[Tensor, "B L"]:
        found = self.level_log_probs(self.last_states(histories, index))
        return _of_codes(found, index.codes[targets]).T

    def head_loss(self, states: States, targets: Int[Tensor, " P"], index: Index) -> Float[Tensor, ""]:
        return -_of_codes(self.level_log_probs(states), index.codes[targets]).mean()

    def head_parts(self, states: States, index: Index) -> Iterator[Float[Tensor, "P N"]]:
        whole = self.level_log_probs(states).transpose(0, 1)[:, self.there]  # [P, V]
        tokens = index.tokens(torch.arange(len(index.codes), device=whole.device))
        yield functional.embedding_bag(tokens, whole.T.contiguous(), mode="sum").T
        yield from taken_of_all(states.seen.before, len(tokens))

    # The walk along the graph

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
        exact, width = super().search, max(k, widest(beam))
        # a walk has no bound for what it did not meet; one as wide as the catalogue is exact, which proves its answer
        if self.settings.decode == "exact" or renormalised or width >= len(index.codes):
            return exact(histories, index, k=k, beam=beam, limits=limits, renormalised=renormalised)
        check(k, width, len(index.codes))
        found = self.walked(self.last_states(histories, index, limits.taken), index, width, limits)
        ranked = found.chosen(self.part_weights, index, min(k, found.items.shape[1]), limits)
        if ranked.items.shape[1] < k or (ranked.items < 0).any():  # limits left too few of what the walk met
            return exact(histories, index, k=k, beam=beam, limits=limits)
        return ranked

    def walked(self, states: States, index: Index, beam: int, limits: Limits) -> Candidates:
        """The best items of a walk by log p, and what the memory recalls; no item twice."""
        self.graph = self.graph or self._graph_of(index)
        by_level = self.level_log_probs(states)
        memory, before = self.memory, states.seen.before
        held = {} if memory is None else memory.entries(before)
        known, z = before, self.part_weights.z(before, self.counts)
        if memory is not None:
            weights = self.part_weights.at(z)[:, len(self.names) :]
            known = torch.cat([before, memory.recalled(held, before, weights)], 1)

        def score(items: Int[Tensor, "B C"]) -> Float[Tensor, "B C"]:
            return _of_many(by_level, index.codes, items)

        def allowed(items: Int[Tensor, "B C"]) -> Tensor:
            return may_be_answered(items, index, limits)

        items, scores = walk(self.graph, known, score, allowed, beam, self.settings.rounds)
        new = self.counts == 0
        if self.new_offset:
            further, of_new = walk(
                self.graph, known, score, lambda found: allowed(found) & new[found], beam, self.settings.rounds
            )
            twice = (further[:, :, None] == items[:, None, :]).any(2)
            items = torch.cat([items, further.masked_fill(twice, PAD)], 1)
            scores = torch.cat([scores, of_new], 1)
        real, items = items != PAD, items.clamp_min(0)
        parts = [scores.masked_fill(~real, 0.0), *taken_of_some(before, items)]
        recalled = [] if memory is None else [memory.of(held, before, items)]
        added = self.new_offset * new[items] if self.new_offset else None
        return Candidates(items, torch.cat([torch.stack(parts, 2), *recalled], 2), real, z, added)

    @torch.no_grad()
    def _graph_of(self, index: Index) -> Graph:
        """The graph of items by their codes' vectors side by side, each of length 1: two items' cosine is the mean
        of that of their codes."""
        codes = functional.normalize(self.codes.weight.float(), dim=-1)
        items = torch.arange(len(index.codes), device=codes.device)

        def vectors(some: slice) -> Float[Tensor, "n LD"]:
            return codes[index.tokens(items[some])].flatten(1)

        return Graph.of_parts(vectors, len(items), self.settings.edges)


def _of_codes(by_level: Float[Tensor, "L P K"], codes: Int[Tensor, "P L"]) -> Float[Tensor, "L P"]:
    """log p of one item's codes at every position."""
    return by_level.gather(2, codes.long().T[:, :, None])[:, :, 0]


def _of_many(
    by_level: Float[Tensor, "L B K"], codes: Int[Tensor, "N L"], items: Int[Tensor, "B C"]
) -> Float[Tensor, "B C"]:
    """log p of some items; -inf for PAD."""
    total = by_level.new_zeros(items.shape)
    known = items.clamp_min(0)
    for level, values in enumerate(by_level):
        total = total + values.gather(1, codes[known, level].long())
    return total.masked_fill(items == PAD, -torch.inf)
