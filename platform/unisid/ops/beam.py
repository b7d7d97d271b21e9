"""Beam search over the semantic ids of a trie, for any decoder: the k items of highest probability for every user.

The score of an item is the sum over levels of log p(code | history, codes before), with p the softmax over the whole
vocabulary: codes that the trie forbids take no part in the choice but keep their share of p (UQF thesis, eq. 3.40).
Renormalised, p is the softmax over the allowed codes alone (eq. 3.41). B users, K beams, W the most codes allowed
after one prefix, D width, V vocabulary, E excluded items a user, N items.
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unisid.errors import ConfigError
from unisid.ops.trie import Children, Level, Trie

P = TypeVar("P", contravariant=True)
S = TypeVar("S")


@runtime_checkable
class Decoder(Protocol[P, S]):
    """A language over semantic ids, one position at a time, for all beams of all users."""

    @property
    def level_starts(self) -> tuple[int, ...]:
        """The vocabulary entry of code 0, by level; a level's entries are contiguous."""
        ...

    def start(self, prompts: P) -> tuple[S, Float[Tensor, "B 1 D"]]:
        """Read every user's prompt, once; the hidden vector from which level 0 is foretold."""
        ...

    def step(
        self, state: S, tokens: Int[Tensor, "B K"], parents: Int[Tensor, "B K"]
    ) -> tuple[S, Float[Tensor, "B K D"]]:
        """Append a token to K beams, each the continuation of one (`parents`) of those before."""
        ...

    def logits(self, hidden: Float[Tensor, "B K D"], entries: slice) -> Float[Tensor, "B K V"]:
        """The head's values at the given entries of the vocabulary; `slice(None)` for all."""
        ...


@dataclass(frozen=True)
class Ranked:
    """The best k items of B users, best first; where fewer than k are allowed, item -1 of score -inf fills up."""

    items: Int[Tensor, "B k"]
    scores: Float[Tensor, "B k"]


def search(
    decoder: Decoder[P, S],
    prompts: P,
    trie: Trie,
    *,
    k: int,
    beam: int,
    excluded: Int[Tensor, "B E"] | None = None,
    renormalised: bool = False,
) -> Ranked:
    """The best k items of every user. Exact where no level has more prefixes than `beam`.

    Prefixes that lead to excluded items only are never kept, so at least k items are found whenever k are allowed.
    Equal scores are ordered by semantic id.

    Args:
        excluded: items not to be answered; -1 fills short rows.
    """
    check(k, beam, len(trie.items))
    state, hidden = decoder.start(prompts)
    users = len(hidden)
    scores = hidden.new_zeros((users, 1), dtype=torch.float32)
    nodes = torch.zeros((users, 1), dtype=torch.long, device=hidden.device)
    barred = None if excluded is None else _barred_leaves(trie, excluded)
    for depth, level in enumerate(trie.levels):
        children = trie.step(depth, nodes.reshape(-1))
        gains = _log_probabilities(decoder, hidden, children, depth, renormalised)
        open_ = children.valid.view_as(gains)
        if barred is not None:
            open_ = open_ & _has_open_leaf(level, children.nodes.view_as(gains), barred)
        totals = torch.where(open_, scores[:, :, None] + gains, -torch.inf).flatten(1)
        candidates = children.nodes.view(users, -1)
        is_last = depth == len(trie.levels) - 1
        chosen = _best(totals, candidates, k if is_last else min(beam, len(level), totals.shape[1]))
        scores, nodes = totals.gather(1, chosen), candidates.gather(1, chosen)
        if not is_last:
            tokens = level.codes[nodes].long() + decoder.level_starts[depth]
            state, hidden = decoder.step(state, tokens, chosen // level.width)
    found = scores > -torch.inf
    return Ranked(torch.where(found, trie.items[nodes].long(), -1), scores)


def check(k: int, beam: int, num_items: int) -> None:
    """Raise ConfigError where a search could not answer k items."""
    if k < 1 or k > num_items:
        raise ConfigError(f"beam search: k is {k} with {num_items} items; must be from 1 to the number of items")
    if beam < k:
        raise ConfigError(f"beam search: beam {beam} is smaller than k, {k}; must be at least k")


def _log_probabilities(
    decoder: Decoder[P, S], hidden: Float[Tensor, "B K D"], children: Children, depth: int, renormalised: bool
) -> Float[Tensor, "B K W"]:
    codes = children.codes.view(*hidden.shape[:2], -1)
    start = decoder.level_starts[depth]
    if not renormalised:
        logits = decoder.logits(hidden, slice(None)).float()
        return logits.gather(-1, codes + start) - logits.logsumexp(-1, keepdim=True)
    ends = (*decoder.level_starts, None)
    logits = decoder.logits(hidden, slice(start, ends[depth + 1])).float().gather(-1, codes)
    return logits.masked_fill(~children.valid.view_as(codes), -torch.inf).log_softmax(-1)


def _best(totals: Float[Tensor, "B C"], candidates: Int[Tensor, "B C"], size: int) -> Int[Tensor, "B size"]:
    """The places of the highest totals, best first; among equals the lower node.

    A total and its node become one integer, so that the order is strict and one `topk` decides it everywhere alike.
    """
    bits = (totals + 0.0).view(torch.int32)  # + 0.0: a minus zero would sort below zero
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).long()  # as integers compare, so did the floats
    return torch.topk((ordered << 32) + (0xFFFFFFFF - candidates), size).indices


def _barred_leaves(trie: Trie, excluded: Int[Tensor, "B E"]) -> Int[Tensor, "B E"]:
    """The leaves of the excluded items, ascending, each once; the number of items where a row has no more."""
    end = len(trie.items)
    leaves = torch.where(excluded >= 0, trie.leaves[excluded.clamp_min(0)].long(), end).sort(dim=1).values
    repeated = torch.zeros_like(leaves, dtype=torch.bool)
    repeated[:, 1:] = leaves[:, 1:] == leaves[:, :-1]
    return leaves.masked_fill(repeated, end).sort(dim=1).values


def _has_open_leaf(level: Level, nodes: Int[Tensor, "B K W"], barred: Int[Tensor, "B E"]) -> Bool[Tensor, "B K W"]:
    """Whether a node leads to an item that is not excluded: leaves below it against barred ones among them."""
    first, end = level.first_leaf[nodes].long().flatten(1), level.first_leaf[nodes + 1].long().flatten(1)
    num_barred = torch.searchsorted(barred, end) - torch.searchsorted(barred, first)
    return (end - first > num_barred).view_as(nodes)
