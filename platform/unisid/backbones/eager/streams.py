"""Two halves of semantic ids, each an index of its own, and answers of two streams merged.

B samples, C candidates of a user, l levels of a half, N items.
"""

import functools
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unisid.backbones import PAD, Index, Limits, level_starts
from unisid.backbones.tiger import State, Tiger
from unisid.decoding import trie
from unisid.decoding.beam import Ranked, best
from unisid.decoding.t5 import Memory
from unisid.decoding.trie import Trie
from unisid.errors import ArtifactError


@dataclass(frozen=True)
class Halves:
    """The halves of an index."""

    codes: tuple[Int[Tensor, "N l"], Int[Tensor, "N l"]]
    sizes: tuple[tuple[int, ...], tuple[int, ...]]
    tries: tuple[Trie, Trie]

    def tokens(self, items: Int[Tensor, "*rows"]) -> tuple[Int[Tensor, "*rows l"], Int[Tensor, "*rows l"]]:
        """The tokens of items in each half, numbered from 0; `PAD` where an item is `PAD`."""
        first, second = (
            torch.where((items == PAD)[..., None], PAD, codes[items.clamp(min=0)].long() + _starts(sizes, codes))
            for codes, sizes in zip(self.codes, self.sizes, strict=True)
        )
        return first, second


@functools.lru_cache(maxsize=8)
def halves_of(index: Index) -> Halves:
    """Both halves.

    Raises:
        ArtifactError: the levels are odd, or two items share a half.
    """
    levels = len(index.sizes)
    if levels % 2:
        raise ArtifactError(
            f"codes: have {levels} levels, and two streams need halves of as many each; make them with the tokenizer "
            "'paired'"
        )
    codes = (index.codes[:, : levels // 2], index.codes[:, levels // 2 :])
    for name, half in zip(("first", "second"), codes, strict=True):
        if len(half.unique(dim=0)) < len(half):
            raise ArtifactError(
                f"codes: some items share the {name} half of their ids, so that one stream cannot tell them apart; "
                "make them with the tokenizer 'paired'"
            )
    device = index.codes.device
    built = tuple(trie.build(half.cpu()).to(device) for half in codes)
    return Halves(codes, (index.sizes[: levels // 2], index.sizes[levels // 2 :]), (built[0], built[1]))


def _starts(sizes: tuple[int, ...], like: Tensor) -> Tensor:
    return torch.tensor(level_starts(sizes, 0), device=like.device)


@dataclass(frozen=True)
class Stream:
    """A TIGER as the decoder of a beam search whose prompts were read already."""

    tiger: Tiger

    @property
    def level_starts(self) -> tuple[int, ...]:
        return self.tiger.level_starts

    def start(self, prompts: Memory) -> tuple[State, Float[Tensor, "B 1 D"]]:
        return self.tiger.begin(prompts)

    def step(
        self, state: State, tokens: Int[Tensor, "B K"], parents: Int[Tensor, "B K"]
    ) -> tuple[State, Float[Tensor, "B K D"]]:
        return self.tiger.step(state, tokens, parents)

    def logits(self, hidden: Float[Tensor, "B K D"], entries: slice) -> Float[Tensor, "B K V"]:
        return self.tiger.logits(hidden, entries)


def union(items: Int[Tensor, "B C"]) -> Int[Tensor, "B C"]:
    """Every item of a row once, ascending; `PAD` where it was before."""
    ordered = items.sort(1).values
    again = torch.zeros_like(ordered, dtype=torch.bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return ordered.masked_fill(again, PAD)


def obeys(limits: Limits, candidates: Int[Tensor, "B C"]) -> Bool[Tensor, "B C"]:
    """Which candidates are items that may be answered."""
    items = candidates.clamp(min=0)
    found = candidates != PAD
    if limits.allowed is not None:
        found = found & limits.allowed.expand(len(items), -1).gather(1, items)
    if limits.excluded is not None:
        found = found & ~(items[:, :, None] == limits.excluded[:, None, :]).any(2)
    return found


def merged(candidates: Int[Tensor, "B C"], scores: Float[Tensor, "B C"], k: int) -> Ranked:
    """The best k candidates, those of score -inf left out; equal scores by item number."""
    missing = max(0, k - candidates.shape[1])
    scores = torch.nn.functional.pad(scores, (0, missing), value=-torch.inf)
    candidates = torch.nn.functional.pad(candidates, (0, missing), value=PAD)
    chosen = best(scores, candidates.clamp(min=0), k)
    found = scores.gather(1, chosen)
    return Ranked(torch.where(found > -torch.inf, candidates.gather(1, chosen), PAD), found)


def not_found(ranked: Ranked) -> Float[Tensor, " B"]:
    """The most that an item which a search did not find may score; -inf where it found all that there are."""
    last = ranked.scores[:, -1]
    return last if ranked.bound is None else torch.maximum(last, ranked.bound)
