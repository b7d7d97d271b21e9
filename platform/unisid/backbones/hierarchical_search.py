"""The two searches of `hierarchical`: every item's score, or beams over the trie whose finds both heads then order.

Letters as in `hierarchical`; K beams, C candidates, n nodes of a level.
"""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unisid.backbones import Index, Limits
from unisid.decoding.beam import Ranked, best, check, limits_of
from unisid.decoding.hierarchy import segment_log_softmax
from unisid.errors import ArtifactError

PATHS_AT_ONCE = 1 << 11
"""Recalled items whose way through the trie is scored at once."""
AT_ONCE = 1 << 16
"""Own vectors that are compared with a state at once."""

if TYPE_CHECKING:
    from unisid.backbones.hierarchical_model import Hierarchical, States


def exact(
    model: "Hierarchical", states: "States", index: Index, k: int, limits: Limits, renormalised: bool
) -> Ranked:  # fmt: skip
    """The best k of all items."""
    check(k, k, len(index.codes))
    scores = trie_log_probs(model, states, index)
    if (weight := float(model.dense_weight)) > 0:
        dense = dense_log_probs(model, states, index)
        dense = torch.where(model.was_learned(), dense, scores)
        scores = (1 - weight) * scores + weight * dense
    scores = scores.scatter_add(1, states.seen.known, model.remembered(states.seen))
    if renormalised:
        scores = scores.log_softmax(1)
    by_leaf = scores[:, index.trie.items.long()]
    return _chosen(by_leaf, torch.arange(by_leaf.shape[1], device=scores.device).expand_as(by_leaf), index, k, limits)


def trie_log_probs(model: "Hierarchical", states: "States", index: Index) -> Float[Tensor, "B N"]:
    """log p of every item under the hierarchical softmax."""
    again = model.repeat(states, 0).expm1()
    total = again.new_zeros(1, len(again))
    for number, level in enumerate(index.trie.levels):
        nodes = torch.arange(len(level), device=again.device)
        logits = model.level_vectors(number, nodes, index) @ model.query(states, number).T  # [n, B]
        logits = logits + _added(model, states, number, again, index).T
        above = model.get_buffer(f"parents_{number}")
        total = total[above] + segment_log_softmax(logits, above, len(level.first_child) - 1)
    return total.T[:, index.trie.leaves.long()]


def dense_log_probs(model: "Hierarchical", states: "States", index: Index) -> Float[Tensor, "B N"]:
    """log p of every item under the softmax over items' own vectors."""
    assert model.own is not None
    assert states.dense is not None
    logits = (states.dense @ model.own.weight.float().T).scatter_add(1, states.seen.items, model.repeat(states, 1))
    known = model.recalled(states, None, states.seen.mass)
    return logits.scatter_add(1, states.seen.known, known).log_softmax(1)


def _added(
    model: "Hierarchical", states: "States", number: int, again: Float[Tensor, "B T"], index: Index
) -> Float[Tensor, "B n"]:
    """Both terms for all nodes of a level."""
    seen, sizes = states.seen, index.trie.levels[number].first_leaf.diff()
    empty = again.new_zeros(len(again), len(sizes))
    share = empty.scatter_add(1, model.paths[seen.items][..., number], again) / sizes
    mass = empty.scatter_add(1, model.paths[seen.known][..., number], seen.mass)
    return share.clamp_min(-1 + 1e-6).log1p() + model.recalled(states, number, mass)


def by_beams(model: "Hierarchical", states: "States", index: Index, k: int, beam: int, limits: Limits) -> Ranked:
    """The best k of the items that beams over the trie find and of those that the memory recalls."""
    check(k, beam, len(index.codes))
    scores, leaves = _beams(model, states, index, beam, limits)
    items = index.trie.items[leaves].long()
    if states.seen.known.shape[1]:
        known, log_p = _recalled(model, states, items, index)
        items, scores = torch.cat([items, known], 1), torch.cat([scores, log_p], 1)
        added = (items[:, :, None] == states.seen.known[:, None, :]) * model.remembered(states.seen)[:, None, :]
    if (weight := float(model.dense_weight)) > 0:
        dense = torch.where(model.was_learned()[items], _dense_logits(model, states, items), scores)
        scores = torch.where(scores > -torch.inf, (1 - weight) * scores + weight * dense, scores)
    if states.seen.known.shape[1]:
        scores = scores + added.sum(2)
    return _chosen(scores, index.trie.leaves[items].long(), index, k, limits)


def _beams(
    model: "Hierarchical", states: "States", index: Index, beam: int, limits: Limits
) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
    """log p and the leaves of the likeliest items that may be answered, under the trie."""
    users, device = len(states.trie), states.trie.device
    rows = torch.arange(users, device=device)
    open_ = limits_of(index.trie, users, limits.excluded, limits.allowed)
    below = model.below(states, index.trie)
    scores, nodes = states.trie.new_zeros(users, 1), rows.new_zeros(users, 1)
    for number, level in enumerate(index.trie.levels):
        children = index.trie.step(number, nodes.reshape(-1))
        candidates, valid = (part.view(users, -1) for part in (children.nodes, children.valid))
        vectors = model.level_vectors(number, candidates, index)
        logits = torch.einsum("bd,bxd->bx", model.query(states, number), vectors)
        at = rows[:, None].expand_as(candidates)
        logits = logits + model.added(states, number, at, candidates, below, index.trie)
        gains = logits.masked_fill(~valid, -torch.inf).view(users, -1, level.width).log_softmax(-1)
        totals = (scores[:, :, None] + gains).flatten(1).masked_fill(~valid, -torch.inf)
        if open_ is not None:
            totals = totals.masked_fill(~open_.leave_open(level, candidates[:, :, None])[..., 0], -torch.inf)
        chosen = best(totals, candidates, min(beam, len(level), totals.shape[1]))
        scores, nodes = totals.gather(1, chosen), candidates.gather(1, chosen)
    return scores, nodes


def _recalled(
    model: "Hierarchical", states: "States", found: Int[Tensor, "B K"], index: Index
) -> tuple[Int[Tensor, "B J"], Float[Tensor, "B J"]]:
    """The items that the memory recalls, with log p under the trie; -inf where the beams found an item already."""
    seen, width = states.seen, states.seen.known.shape[1]
    log_p = torch.empty_like(seen.mass)
    for start in range(0, len(log_p), max(1, PATHS_AT_ONCE // width)):
        some = slice(start, start + max(1, PATHS_AT_ONCE // width))
        part = states.rows(some).repeated(width)
        by_level = model.path_log_probs(part, seen.known[some].flatten(), index)
        log_p[some] = by_level.sum(1).view(-1, width)
    twice = (seen.known[:, :, None] == found[:, None, :]).any(2) | (seen.mass <= 0)
    return seen.known, log_p.masked_fill(twice, -torch.inf)


def _dense_logits(model: "Hierarchical", states: "States", items: Int[Tensor, "B C"]) -> Float[Tensor, "B C"]:
    """log p of some items in the dense head; its normaliser takes every own vector once, some at a time."""
    assert model.own is not None
    assert states.dense is not None
    seen, own, queries = states.seen, model.own.weight.float(), states.dense
    parts = [(queries @ some.T).logsumexp(1, keepdim=True) for some in own.split(AT_ONCE)]
    whole = torch.cat(parts, 1).logsumexp(1, keepdim=True)
    held = torch.cat([seen.items, seen.known], 1)  # what something is added to: no item twice, but with 0
    added = torch.cat([model.repeat(states, 1), model.recalled(states, None, seen.mass)], 1)
    share = (torch.einsum("bd,bcd->bc", queries, own[held]) - whole).exp() * added.expm1()
    whole = whole + share.sum(1, keepdim=True).log1p()
    logits = torch.einsum("bd,bcd->bc", queries, own[items])
    logits = logits + ((items[:, :, None] == held[:, None, :]) * added[:, None, :]).sum(2)
    return logits - whole


def _chosen(
    scores: Float[Tensor, "B C"], leaves: Int[Tensor, "B C"], index: Index, k: int, limits: Limits
) -> Ranked:  # fmt: skip
    """The k best that may be answered; among equals the lower semantic id."""
    if scores.isnan().any():
        raise ArtifactError("search: the model gives items scores that are NaN: its weights are damaged, or it "
                            "diverged in training; train it anew, with a lower learning rate")  # fmt: skip
    open_ = limits_of(index.trie, len(scores), limits.excluded, limits.allowed)
    if open_ is not None:
        may = open_.leave_open(index.trie.levels[-1], leaves[:, :, None])[..., 0]
        scores = scores.masked_fill(~may, -torch.inf)
    chosen = best(scores, leaves, min(k, scores.shape[1]))
    scores, leaves = scores.gather(1, chosen), leaves.gather(1, chosen)
    items = torch.where(scores > -torch.inf, index.trie.items[leaves].long(), -1)
    return Ranked(items, scores)
