"""The two searches of `hierarchical`: every item's score, or beams over the trie whose finds both heads then order.

Letters as in `hierarchical`; K beams, C candidates, n nodes of a level.
"""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unisid.backbones import Index, Limits
from unisid.errors import ArtifactError
from unisid.ops.beam import Ranked, best, check, limits_of
from unisid.ops.hierarchy import segment_log_softmax

if TYPE_CHECKING:
    from unisid.backbones.hierarchical_model import Hierarchical, Seen


def exact(
    model: "Hierarchical", states: Float[Tensor, "B D"], seen: "Seen", index: Index, k: int, limits: Limits,
    renormalised: bool,
) -> Ranked:  # fmt: skip
    """The best k of all items."""
    check(k, k, len(index.codes))
    weight = float(model.dense_weight)
    scores = torch.zeros(len(states), len(index.codes), device=states.device)
    if weight < 1:
        scores = scores + (1 - weight) * trie_log_probs(model, states, seen, index)
    if weight > 0:
        scores = scores + weight * dense_log_probs(model, states, seen, index)
    if renormalised:
        scores = scores.log_softmax(1)
    by_leaf = scores[:, index.trie.items.long()]
    return _chosen(by_leaf, torch.arange(by_leaf.shape[1], device=states.device).expand_as(by_leaf), index, k, limits)


def trie_log_probs(
    model: "Hierarchical", states: Float[Tensor, "B D"], seen: "Seen", index: Index
) -> Float[Tensor, "B N"]:
    """log p of every item under the hierarchical softmax."""
    again = model.repeat(states, seen).expm1()
    total = states.new_zeros(1, len(states))
    for number, level in enumerate(index.trie.levels):
        nodes = torch.arange(len(level), device=states.device)
        logits = model.level_vectors(number, nodes, index) @ model.query(states, number).T  # [n, B]
        logits = logits + _added(model, states, seen, number, again, index).T
        above = model.get_buffer(f"parents_{number}")
        total = total[above] + segment_log_softmax(logits, above, len(level.first_child) - 1)
    return total.T[:, index.trie.leaves.long()]


def dense_log_probs(
    model: "Hierarchical", states: Float[Tensor, "B D"], seen: "Seen", index: Index
) -> Float[Tensor, "B N"]:
    """log p of every item under the softmax over items."""
    items = model.vectors(torch.arange(len(index.codes), device=states.device), index).float()
    logits = (states @ items.T).scatter_add(1, seen.items, model.repeat(states, seen))
    known = model.recalled(states, len(index.sizes), seen.mass)
    return logits.scatter_add(1, seen.known, known).log_softmax(1)


def _added(
    model: "Hierarchical", states: Float[Tensor, "B D"], seen: "Seen", number: int, again: Float[Tensor, "B T"],
    index: Index,
) -> Float[Tensor, "B n"]:  # fmt: skip
    """Both terms for all nodes of a level."""
    sizes = index.trie.levels[number].first_leaf.diff()
    empty = states.new_zeros(len(states), len(sizes))
    share = empty.scatter_add(1, model.paths[seen.items][..., number], again) / sizes
    mass = empty.scatter_add(1, model.paths[seen.known][..., number], seen.mass)
    return share.clamp_min(-1 + 1e-6).log1p() + model.recalled(states, number, mass)


def by_beams(
    model: "Hierarchical", states: Float[Tensor, "B D"], seen: "Seen", index: Index, k: int, beam: int, limits: Limits
) -> Ranked:  # fmt: skip
    """The best k of the items that beams over the trie find and that the memory recalls, both heads together."""
    check(k, beam, len(index.codes))
    users, rows = len(states), torch.arange(len(states), device=states.device)
    open_ = limits_of(index.trie, users, limits.excluded, limits.allowed)
    again, mass = model.below(states, seen, index.trie)
    scores, nodes = states.new_zeros(users, 1), rows.new_zeros(users, 1)
    for number, level in enumerate(index.trie.levels):
        children = index.trie.step(number, nodes.reshape(-1))
        candidates, valid = (part.view(users, -1) for part in (children.nodes, children.valid))
        logits = torch.einsum("bd,bxd->bx", model.query(states, number),
                              model.level_vectors(number, candidates, index))  # fmt: skip
        logits = logits + model.added(states, number, rows[:, None].expand_as(candidates), candidates, again, mass,
                                      index.trie)  # fmt: skip
        gains = logits.masked_fill(~valid, -torch.inf).view(users, -1, level.width).log_softmax(-1)
        totals = (scores[:, :, None] + gains).flatten(1).masked_fill(~valid, -torch.inf)
        if open_ is not None:
            totals = totals.masked_fill(~open_.leave_open(level, candidates[:, :, None])[..., 0], -torch.inf)
        chosen = best(totals, candidates, min(beam, len(level), totals.shape[1]))
        scores, nodes = totals.gather(1, chosen), candidates.gather(1, chosen)
    weight = float(model.dense_weight)
    if weight > 0:
        items = index.trie.items[nodes].long()
        scores = (1 - weight) * scores + weight * _dense_logits(model, states, seen, items, index)
    return _chosen(scores, nodes, index, k, limits)


def _dense_logits(
    model: "Hierarchical", states: Float[Tensor, "B D"], seen: "Seen", items: Int[Tensor, "B C"], index: Index
) -> Float[Tensor, "B C"]:
    """The dense head's logits of some items: log p but for one number a history."""
    logits = torch.einsum("bd,bcd->bc", states, model.vectors(items, index).float())
    known = model.recalled(states, len(index.sizes), seen.mass)
    for held, values in ((seen.items, model.repeat(states, seen)), (seen.known, known)):
        logits = logits + ((items[:, :, None] == held[:, None, :]) * values[:, None, :]).sum(2)
    return logits


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
