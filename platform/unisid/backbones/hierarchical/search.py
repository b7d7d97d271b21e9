"""The two searches of `hierarchical`: every item's score, or those of what beams over the trie and the memory find.

An item's score is a weighted sum of its parts: log p of the trie, log p of the dense head, and the memory's. Letters as
in `hierarchical`; K beams, C candidates, F parts, n nodes of a level.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unisid.backbones import PAD, Index, Limits
from unisid.backbones.parts.candidates import Candidates, best_items, may_be_answered, require_sound
from unisid.decoding.beam import Beam, Ranked, best, check, limits_of, widest, width_at
from unisid.decoding.hierarchy import segment_log_softmax
from unisid.layers.new_items import raised
from unisid.ops.blend import weighted_sum

PATHS_AT_ONCE = 1 << 11
"""Recalled items whose way through the trie is scored at once."""
AT_ONCE = 1 << 16
"""Own vectors that are compared with a state at once."""

if TYPE_CHECKING:
    from unisid.backbones.hierarchical.model import Hierarchical
    from unisid.backbones.hierarchical.states import States


def parts_of_all(model: "Hierarchical", states: "States", index: Index) -> Iterator[Float[Tensor, "B N"]]:
    """The parts of every item's score, one after the other."""
    scores = trie_log_probs(model, states, index)
    yield scores
    if model.own is not None:
        yield torch.where(model.was_learned(), dense_log_probs(model, states, index), _unlearned(model))
    if model.memory is not None:
        before = states.seen.before
        yield from model.memory.of_all(model.memory.entries(before), before, len(index.codes))


def best_of_all(
    model: "Hierarchical", states: "States", index: Index, k: int, limits: Limits, renormalised: bool
) -> Ranked:
    """The best k of all items."""
    check(k, k, len(index.codes))
    scores = weighted_sum(model.weights_of(states), parts_of_all(model, states, index))
    scores = raised(scores, ~model.was_learned(), model.new_offset)
    if renormalised:
        scores = scores.log_softmax(1)
    require_sound(scores.isfinite().all())
    return best_items(scores, index, k, limits)


def some_of_all(model: "Hierarchical", states: "States", index: Index, size: int, limits: Limits) -> Candidates:
    """The best of all items, with the parts of their scores."""
    parts = list(parts_of_all(model, states, index))
    items = torch.arange(len(index.codes), device=parts[0].device).expand_as(parts[0])
    real = may_be_answered(items, index, limits)
    z = model.part_weights.z(states.seen.before, model.counts)
    scores = weighted_sum(model.part_weights.at(z), parts)
    top = scores.masked_fill(~real, -torch.inf).topk(size, dim=1).indices
    return Candidates(top, torch.stack([part.gather(1, top) for part in parts], 2), real.gather(1, top), z)


def trie_log_probs(model: "Hierarchical", states: "States", index: Index) -> Float[Tensor, "B N"]:
    """log p of every item under the hierarchical softmax."""
    again = model.repeat(states, 0).expm1()
    total = again.new_zeros(1, len(again))
    for number, level in enumerate(index.trie.levels):
        nodes = torch.arange(len(level), device=again.device)
        logits = model.level_vectors(number, nodes, index) @ model.query(states, number).T  # [n, B]
        logits = logits + _repeated(model, states, number, again, index).T
        above = model.get_buffer(f"parents_{number}")
        total = total[above] + segment_log_softmax(logits, above, len(level.first_child) - 1)
    return total.T[:, index.trie.leaves.long()]


def dense_log_probs(model: "Hierarchical", states: "States", index: Index) -> Float[Tensor, "B N"]:
    """log p of every item under the softmax over items' own vectors."""
    assert model.own is not None
    assert states.dense is not None
    logits = (states.dense @ model.own.weight.float().T).scatter_add(1, states.seen.items, model.repeat(states, 1))
    return logits.log_softmax(1)


def _unlearned(model: "Hierarchical") -> float:
    """The dense head's part of items without an own vector: it cannot tell one from another. What they come to beside
    others the offset of new items says."""
    return -math.log(len(model.counts))


def _repeated(
    model: "Hierarchical", states: "States", number: int, again: Float[Tensor, "B T"], index: Index
) -> Float[Tensor, "B n"]:
    """The repeat term for all nodes of a level."""
    sizes = index.trie.levels[number].first_leaf.diff()
    empty = again.new_zeros(len(again), len(sizes))
    share = empty.scatter_add(1, model.paths[states.seen.items][..., number], again) / sizes
    return share.clamp_min(-1 + 1e-6).log1p()


@dataclass(frozen=True)
class _Found:
    """Items that a search has found, each once."""

    scores: Float[Tensor, "B C"]
    """log p under the trie."""
    items: Int[Tensor, "B C"]
    real: Bool[Tensor, "B C"]
    """False: fills a short row."""

    def and_then(self, other: "_Found") -> "_Found":
        """With further items, of which those that are here already do not count."""
        here = self.items.masked_fill(~self.real, PAD)
        real = other.real & ~(other.items[:, :, None] == here[:, None, :]).any(2)
        pairs = (self.scores, other.scores), (self.items, other.items), (self.real, real)
        return _Found(*(torch.cat(pair, 1) for pair in pairs))


def candidates(model: "Hierarchical", states: "States", index: Index, beam: Beam, limits: Limits) -> Candidates:
    """Candidates from beams over the trie and from the memory: of all items, and of new items apart. No item twice."""
    check(widest(beam), widest(beam), len(index.codes))
    memory, before, new = model.memory, states.seen.before, ~model.was_learned()
    held, z = {} if memory is None else memory.entries(before), model.part_weights.z(before, model.counts)
    found = _beams(model, states, index, beam, limits)
    if model.new_offset:
        found = found.and_then(_beams(model, states, index, beam, _limited_to(new, limits)))
    if memory is not None:
        weights = model.part_weights.at(z)[:, 1 + model.config.dense :]
        for some in (None, new)[: 1 + bool(model.new_offset)]:
            known = memory.recalled(held, before, weights, some)
            further, real = known.clamp_min(0), known != PAD
            real = real & may_be_answered(further, index, limits)
            found = found.and_then(_Found(_path_scores(model, states, further, index), further, real))
    items, real = found.items, found.real
    scores = found.scores.masked_fill(~real, 0.0)
    parts = [scores[:, :, None]]
    if model.own is not None:
        dense = torch.where(model.was_learned()[items], _dense_logits(model, states, items), _unlearned(model))
        parts.append(dense[:, :, None])
    if memory is not None:
        parts.append(memory.of(held, before, items))
    added = model.new_offset * new[items] if model.new_offset else None
    return Candidates(items, torch.cat(parts, 2), real, z, added)


def best_of_trie(model: "Hierarchical", states: "States", index: Index, k: int, limits: Limits) -> Ranked:
    """The best k items by log p under the trie alone, by as many beams."""
    found = _beams(model, states, index, k, limits)
    return Ranked(torch.where(found.real, found.items, PAD), found.scores)


def _limited_to(some: Bool[Tensor, " N"], limits: Limits) -> Limits:
    """The limits, and none but some items."""
    return replace(limits, allowed=some if limits.allowed is None else limits.allowed & some)


def _beams(model: "Hierarchical", states: "States", index: Index, beam: Beam, limits: Limits) -> _Found:
    """The likeliest items that may be answered, under the trie."""
    users, device = len(states.trie), states.trie.device
    rows = torch.arange(users, device=device)
    open_ = limits_of(index.trie, users, limits.excluded, limits.allowed)
    below = model.below(states, index.trie)
    scores, nodes = states.trie.new_zeros(users, 1), rows.new_zeros(users, 1)
    sound = torch.ones((), dtype=torch.bool, device=device)
    for number, level in enumerate(index.trie.levels):
        children = index.trie.step(number, nodes.reshape(-1))
        candidates, valid = (part.view(users, -1) for part in (children.nodes, children.valid))
        vectors = model.level_vectors(number, candidates, index)
        logits = torch.einsum("bd,bxd->bx", model.query(states, number), vectors)
        at = rows[:, None].expand_as(candidates)
        logits = logits + model.added(states, number, at, candidates, below, index.trie)
        gains = logits.masked_fill(~valid, -torch.inf).view(users, -1, level.width).log_softmax(-1)
        sound = sound & (gains.flatten(1).isfinite() | ~valid).all()
        totals = (scores[:, :, None] + gains).flatten(1).masked_fill(~valid, -torch.inf)
        if open_ is not None:
            totals = totals.masked_fill(~open_.leave_open(level, candidates[:, :, None])[..., 0], -torch.inf)
        chosen = best(totals, candidates, min(width_at(beam, number), len(level), totals.shape[1]))
        scores, nodes = totals.gather(1, chosen), candidates.gather(1, chosen)
    require_sound(sound)
    return _Found(scores, index.trie.items[nodes].long(), scores > -torch.inf)


def _path_scores(
    model: "Hierarchical", states: "States", items: Int[Tensor, "B C"], index: Index
) -> Float[Tensor, "B C"]:
    """log p of some items under the trie."""
    found, width = states.trie.new_empty(items.shape), items.shape[1]
    for start in range(0, len(items), max(1, PATHS_AT_ONCE // width)):
        some = slice(start, start + max(1, PATHS_AT_ONCE // width))
        by_level = model.path_log_probs(states.rows(some).repeated(width), items[some].flatten(), index)
        found[some] = by_level.sum(1).view(-1, width)
    return found


def _dense_logits(model: "Hierarchical", states: "States", items: Int[Tensor, "B C"]) -> Float[Tensor, "B C"]:
    """log p of some items in the dense head; its normaliser takes every own vector once, some at a time."""
    assert model.own is not None
    assert states.dense is not None
    seen, own, queries = states.seen, model.own.weight.float(), states.dense
    parts = [(queries @ some.T).logsumexp(1, keepdim=True) for some in own.split(AT_ONCE)]
    whole = torch.cat(parts, 1).logsumexp(1, keepdim=True)
    again = model.repeat(states, 1)  # 0 where an item of the history comes a second time
    share = (torch.einsum("bd,btd->bt", queries, own[seen.items]) - whole).exp() * again.expm1()
    whole = whole + share.sum(1, keepdim=True).log1p()
    logits = torch.einsum("bd,bcd->bc", queries, own[items])
    logits = logits + ((items[:, :, None] == seen.items[:, None, :]) * again[:, None, :]).sum(2)
    return logits - whole
