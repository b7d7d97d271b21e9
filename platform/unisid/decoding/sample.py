"""Items drawn from a decoder's own distribution over semantic ids, token by token; and the log p of given ones.

Where items are drawn, the softmax at every node of the trie is over the codes that lead to an item which may be
answered. B users, K draws, C given items, L levels, W the most codes after one prefix, N items, A is B, or 1 where all
users share.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unisid.decoding.beam import Decoder, P, S, allowed_log_probabilities, limits_of
from unisid.decoding.trie import Trie


def draw(
    decoder: Decoder[P, S],
    prompts: P,
    trie: Trie,
    *,
    k: int,
    temperature: float = 1.0,
    excluded: Int[Tensor, "B E"] | None = None,
    allowed: Bool[Tensor, "*users N"] | None = None,
) -> Int[Tensor, "B K"]:
    """k items of every user by torch's random state, each by itself: one may come twice. -1 where none may be answered.

    Args:
        temperature: what log p is divided by at every node.
    """
    state, hidden = decoder.start(prompts)
    users, device = len(hidden), hidden.device
    limits = limits_of(trie, users, excluded, allowed)
    nodes = torch.zeros((users, 1), dtype=torch.long, device=device)
    own = torch.arange(k, device=device).expand(users, k)
    some = torch.ones((users, k), dtype=torch.bool, device=device)
    for depth, level in enumerate(trie.levels):
        children = trie.step(depth, nodes.reshape(-1))
        log_p = allowed_log_probabilities(decoder, hidden, children, depth)
        open_ = children.valid.view_as(log_p)
        below = children.nodes.view_as(log_p)
        if limits is not None:
            open_ = open_ & limits.leave_open(level, below)
        chances = (log_p / temperature).masked_fill(~open_, -torch.inf).softmax(-1)
        some = some & open_.any(-1)
        chances = torch.where(open_.any(-1, keepdim=True), chances, 1.0)
        if depth == 0:
            drawn, parents = torch.multinomial(chances[:, 0], k, replacement=True), torch.zeros_like(own)
            below = below.expand(-1, k, -1)
        else:
            drawn, parents = torch.multinomial(chances.flatten(0, 1), 1).view(users, k), own
        nodes = below.gather(2, drawn[:, :, None])[..., 0]
        if depth < len(trie.levels) - 1:
            tokens = level.codes[nodes].long() + decoder.level_starts[depth]
            state, hidden = decoder.step(state, tokens, parents)
    return torch.where(some, trie.items[nodes].long(), -1)


def log_probs_of(decoder: Decoder[P, S], prompts: P, entries: Int[Tensor, "B C L"]) -> Float[Tensor, "B C L"]:
    """log p under the whole vocabulary of each entry of C items of every user, after those before it; each prompt is
    read once."""
    state, hidden = decoder.start(prompts)
    users, items, levels = entries.shape
    own = torch.arange(items, device=entries.device).expand(users, items)
    parents, found = torch.zeros_like(own), []
    for level in range(levels):
        log_p = decoder.logits(hidden, slice(None)).log_softmax(-1, dtype=torch.float32).expand(-1, items, -1)
        found.append(log_p.gather(2, entries[:, :, level, None])[..., 0])
        if level < levels - 1:
            state, hidden = decoder.step(state, entries[:, :, level], parents)
            parents = own
    return torch.stack(found, 2)
