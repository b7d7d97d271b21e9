"""Beam search over the semantic ids of a trie, for any decoder: the k items of highest probability for every user.

The score of an item is the sum over levels of log p(code | history, codes before), with p the softmax over the whole
vocabulary: codes that the trie forbids take no part in the choice but keep their share of p (UQF thesis, eq. 3.40).
Renormalised, p is the softmax over the allowed codes alone (eq. 3.41). B users, K beams, W the most codes allowed
after one prefix, D width, V vocabulary, E excluded items a user, N items, A is B, or 1 where all users share.
"""

from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from unisid.decoding.trie import Children, Level, Trie
from unisid.errors import ArtifactError, ConfigError

P = TypeVar("P", contravariant=True)
S = TypeVar("S")

Beam: TypeAlias = int | tuple[int, ...]
"""Prefixes that a search keeps: at every level alike; or by level, the last number for all further ones (FORGE: narrow
first, wider later)."""
MOST_BEAMS = 1 << 14
"""Most beams that settings may set."""
ROUNDING = 1e-3
"""By how much scores of the same item may differ between two searches, whose batches have other shapes."""
CACHED_LOGITS, HELD_LOGITS = 1 << 22, 1 << 27
"""Most logits made at once: what a CPU's caches hold, and what an accelerator's memory can spare."""


@runtime_checkable
class Decoder(Protocol[P, S]):
    """A language over semantic ids, one position at a time, for all beams of all users."""

    @property
    def level_starts(self) -> tuple[int, ...]:
        """The vocabulary entry of code 0, by level; a level's entries are contiguous."""
        ...

    def start(self, prompts: P) -> tuple[S, Float[Tensor, "B 1 D"]]:
        """Read every user's prompt, once; the hidden vector from which level 0 is predicted."""
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
    bound: Float[Tensor, " B"] | None = None
    """No item that is not here scores higher than this: those above it are the true best. -inf where the search was
    exact; None where nothing is known."""

    def proven(self) -> Int[Tensor, " B"]:
        """How many of the first items are the best of all, certainly: those that score above the bound."""
        if self.bound is None:
            return torch.zeros(len(self.items), dtype=torch.long, device=self.items.device)
        return ((self.scores > self.bound[:, None]) & (self.items >= 0)).long().cumprod(1).sum(1)


def search(
    decoder: Decoder[P, S],
    prompts: P,
    trie: Trie,
    *,
    k: int,
    beam: Beam,
    excluded: Int[Tensor, "B E"] | None = None,
    allowed: Bool[Tensor, "*users N"] | None = None,
    renormalised: bool = False,
    floor: Float[Tensor, " B"] | None = None,
) -> Ranked:
    """The best k items of every user. Exact where no level has more prefixes than `beam` keeps.

    Prefixes that lead only to items which may not be answered are never kept, so at least k items are found whenever k
    may be. Equal scores are ordered by semantic id.

    The log-probability of a prefix is that of its items' ids at most, for every further code only lowers it. So the
    greatest one of a prefix that was not kept is the `bound` of what was found.

    Args:
        excluded: items not to be answered; -1 fills short rows.
        allowed: whether an item may be answered (is in stock, is sold in the market): for all users [N], or by user
            [B, N]. What is excluded may not be answered either. Neither changes a score, renormalised or not: the
            codes of items that may not be answered keep their share of p.
        floor: a score that k items of each user are known to reach. A prefix below it leads to none of the best, so
            no level keeps more prefixes than the users have above their floors: the search is exact where `beam`
            allows these, however large it is, and expands what a best-first search would.

    Raises:
        ArtifactError: where the decoder gives a code of the trie no finite log-probability.
    """
    found, sound = explore(
        decoder,
        prompts,
        trie,
        k=k,
        beam=beam,
        excluded=excluded,
        allowed=allowed,
        renormalised=renormalised,
        floor=floor,
    )
    if not sound:  # read once, at the end: until then no wait for the device
        raise ArtifactError(
            "beam search: the model gives semantic ids probabilities that are NaN or 0: its weights "
            "are damaged, or it diverged in training; train it anew, with a lower learning rate"
        )
    return found


def explore(
    decoder: Decoder[P, S],
    prompts: P,
    trie: Trie,
    *,
    k: int,
    beam: Beam,
    excluded: Int[Tensor, "B E"] | None = None,
    allowed: Bool[Tensor, "*users N"] | None = None,
    renormalised: bool = False,
    floor: Float[Tensor, " B"] | None = None,
) -> tuple[Ranked, Bool[Tensor, ""]]:
    """`search` without its last look: what it finds, and whether every log-probability was finite. Without a floor it
    waits for no value of the device."""
    check(k, beam, len(trie.items))
    state, hidden = decoder.start(prompts)
    users = len(hidden)
    scores = hidden.new_zeros((users, 1), dtype=torch.float32)
    nodes = torch.zeros((users, 1), dtype=torch.long, device=hidden.device)
    limits = limits_of(trie, users, excluded, allowed)
    sound = torch.ones((), dtype=torch.bool, device=hidden.device)
    bound = scores.new_full((users,), -torch.inf)
    for depth, level in enumerate(trie.levels):
        children = trie.step(depth, nodes.reshape(-1))
        gains = _log_probabilities(decoder, hidden, children, depth, renormalised)
        open_ = children.valid.view_as(gains)
        sound = sound & (gains.isfinite() | ~open_).all()
        if limits is not None:
            open_ = open_ & limits.leave_open(level, children.nodes.view_as(gains))
        totals = torch.where(open_, scores[:, :, None] + gains, -torch.inf).flatten(1)
        candidates = children.nodes.view(users, -1)
        is_last = depth == len(trie.levels) - 1
        size = k if is_last else min(width_at(beam, depth), len(level), totals.shape[1])
        if floor is not None and not is_last:
            size = min(size, max(1, int((totals >= floor[:, None] - ROUNDING).sum(1).max())))
        chosen = best(totals, candidates, size + (not is_last and size < totals.shape[1]))
        if chosen.shape[1] > size:  # the first of those that are dropped
            bound = torch.maximum(bound, totals.gather(1, chosen[:, size:])[:, 0])
            chosen = chosen[:, :size]
        scores, nodes = totals.gather(1, chosen), candidates.gather(1, chosen)
        if not is_last:
            tokens = level.codes[nodes].long() + decoder.level_starts[depth]
            state, hidden = decoder.step(state, tokens, chosen // level.width)
    found = scores > -torch.inf
    return Ranked(torch.where(found, trie.items[nodes].long(), -1), scores, bound), sound


def width_at(beam: Beam, level: int) -> int:
    """How many prefixes are kept at a level, counted from 0."""
    return beam if isinstance(beam, int) else beam[min(level, len(beam) - 1)]


def widest(beam: Beam) -> int:
    """How many prefixes are kept where most are: what counts for a search without levels."""
    return beam if isinstance(beam, int) else max(beam)


def narrowest(beam: Beam) -> int:
    """How many prefixes are kept where fewest are."""
    return beam if isinstance(beam, int) else min(beam)


def spelled(beam: Beam) -> str:
    """'50'; by level '100,20'."""
    return ",".join(map(str, [beam] if isinstance(beam, int) else beam))


def at_least(beam: Beam, k: int) -> Beam:
    """As many prefixes, and nowhere fewer than k."""
    return max(beam, k) if isinstance(beam, int) else tuple(max(width, k) for width in beam)


def doubled(beam: Beam, most: int) -> Beam:
    """Twice as many prefixes at every level, and nowhere more than `most`."""
    return min(2 * beam, most) if isinstance(beam, int) else tuple(min(2 * width, most) for width in beam)


def check(k: int, beam: Beam, num_items: int) -> None:
    """Raise ConfigError where a search could not answer k items."""
    if k < 1 or k > num_items:
        raise ConfigError(f"beam search: k is {k} with {num_items} items; must be from 1 to the number of items")
    if beam == ():
        raise ConfigError("beam search: beam is (); must be a number, or one for each level")
    if (least := narrowest(beam)) < k:
        of = "" if isinstance(beam, int) else f" of {beam}"
        raise ConfigError(f"beam search: beam {least}{of} is smaller than k, {k}; must be at least k")


def _log_probabilities(
    decoder: Decoder[P, S], hidden: Float[Tensor, "B K D"], children: Children, depth: int, renormalised: bool
) -> Float[Tensor, "B K W"]:
    if renormalised:
        return allowed_log_probabilities(decoder, hidden, children, depth)
    return _whole_softmax(decoder, hidden, children, decoder.level_starts[depth])


def allowed_log_probabilities(
    decoder: Decoder[P, S], hidden: Float[Tensor, "B K D"], children: Children, depth: int
) -> Float[Tensor, "B K W"]:
    """log p of every prefix's codes among those that the trie has; -inf where an entry is not valid."""
    start, ends = decoder.level_starts[depth], (*decoder.level_starts, None)
    logits = children.by_code(decoder.logits(hidden, slice(start, ends[depth + 1])).float().flatten(0, 1))
    return logits.masked_fill(~children.valid, -torch.inf).log_softmax(-1).view(*hidden.shape[:2], -1)


def _whole_softmax(
    decoder: Decoder[P, S], hidden: Float[Tensor, "B K D"], children: Children, start: int
) -> Float[Tensor, "B K W"]:
    """log p of every prefix's codes, the first of which is the entry `start`, under the softmax over the whole
    vocabulary, whose logits are made some rows at a time."""
    vocabulary = decoder.logits(hidden[:1, :0], slice(None)).shape[-1]
    rows = max(1, (CACHED_LOGITS if hidden.device.type == "cpu" else HELD_LOGITS) // vocabulary)
    found = [
        # log_softmax and not logsumexp, which torch leaves several times slower on a CPU.
        children.by_code(
            decoder.logits(some[None], slice(None)).log_softmax(-1, dtype=torch.float32)[0, :, start:],
            slice(number * rows, (number + 1) * rows),
        )
        for number, some in enumerate(hidden.flatten(0, 1).split(rows))
    ]
    return torch.cat(found).view(*hidden.shape[:2], -1)


def best(totals: Float[Tensor, "B C"], candidates: Int[Tensor, "B C"], size: int) -> Int[Tensor, "B size"]:
    """The places of the highest totals, best first; among equals the lower node.

    A total and its node become one integer, so that the order is strict and one `topk` decides it everywhere alike.
    """
    bits = (totals + 0.0).view(torch.int32)  # + 0.0: a minus zero would sort below zero
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).long()  # as integers compare, so did the floats
    return torch.topk((ordered << 32) + (0xFFFFFFFF - candidates), size).indices


@dataclass(frozen=True)
class Open:
    """Candidate leaves, by counts: a look-up a node, however many leaves lie below it."""

    before: Int[Tensor, "A N_and_end"] | None
    """Allowed leaves before a leaf; all are allowed where there is none."""
    excluded_leaves: Int[Tensor, "B E"] | None
    """Allowed leaves that are excluded, ascending, each once; the number of items where a row has no more."""

    def leave_open(self, level: Level, nodes: Int[Tensor, "B K W"]) -> Bool[Tensor, "B K W"]:
        """Whether a node leads to a candidate leaf."""
        first, end = level.first_leaf[nodes].long().flatten(1), level.first_leaf[nodes + 1].long().flatten(1)
        count = end - first
        if self.before is not None:
            before = self.before.expand(len(nodes), -1)
            count = before.gather(1, end) - before.gather(1, first)
        if self.excluded_leaves is not None:
            count = count - (
                torch.searchsorted(self.excluded_leaves, end) - torch.searchsorted(self.excluded_leaves, first)
            )
        return (count > 0).view_as(nodes)


def limits_of(trie: Trie, users: int, excluded: Tensor | None, allowed: Tensor | None) -> Open | None:
    by_leaf = None if allowed is None else _by_leaf(trie, users, allowed)
    excluded_leaves = None if excluded is None else _excluded_leaves(trie, excluded, by_leaf)
    if by_leaf is None:
        return None if excluded_leaves is None else Open(None, excluded_leaves)
    return Open(functional.pad(by_leaf.cumsum(1, dtype=torch.int32), (1, 0)), excluded_leaves)


def _by_leaf(trie: Trie, users: int, allowed: Bool[Tensor, "*users N"]) -> Bool[Tensor, "A N"]:
    num_items = len(trie.items)
    if allowed.shape not in ((num_items,), (users, num_items)):
        raise ConfigError(
            f"beam search: allowed has the shape {tuple(allowed.shape)}; must be ({num_items},), an entry an item, "
            f"or ({users}, {num_items}), a row a user"
        )
    return allowed.view(-1, num_items)[:, trie.items]


def _excluded_leaves(
    trie: Trie, excluded: Int[Tensor, "B E"], by_leaf: Bool[Tensor, "A N"] | None
) -> Int[Tensor, "B E"]:
    """As `Open.excluded_leaves`."""
    end = len(trie.items)
    leaves = trie.leaves[excluded.clamp_min(0)].long()
    counts = excluded >= 0
    if by_leaf is not None:
        counts = counts & by_leaf.expand(len(excluded), -1).gather(1, leaves)
    leaves = torch.where(counts, leaves, end).sort(dim=1).values
    repeated = torch.zeros_like(leaves, dtype=torch.bool)
    repeated[:, 1:] = leaves[:, 1:] == leaves[:, :-1]
    return leaves.masked_fill(repeated, end).sort(dim=1).values
