"""The items of a catalogue as backbones see them. N items, L levels, K drawn items."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from unisid.decoding import trie
from unisid.decoding.trie import Trie
from unisid.ops.padding import PAD as PAD


@dataclass(frozen=True, eq=False)
class Index:
    """The items of a catalogue as a backbone sees them: semantic ids, the trie over these, and named vectors."""

    codes: Int[Tensor, "N L"]
    """int32."""
    sizes: tuple[int, ...]
    """The number of codes of every level."""
    trie: Trie
    vectors: Mapping[str, Float[Tensor, "N _"]] = field(default_factory=dict)
    """What else is there of every item, by name (fused, graph, ...)."""
    titles: Sequence[str] = ()
    """Of every item, or none."""

    @classmethod
    def of(
        cls,
        codes: NDArray[Any],
        sizes: tuple[int, ...],
        vectors: Mapping[str, NDArray[Any]] | None = None,
        titles: Sequence[str] = (),
    ) -> "Index":
        """On the CPU, of unique codes [N, L]."""
        held, named = torch.from_numpy(np.array(codes, np.int32)), (vectors or {}).items()
        return cls(held, sizes, trie.build(held), {name: torch.from_numpy(values) for name, values in named}, titles)

    def to(self, device: torch.device) -> "Index":
        vectors = {name: values.to(device) for name, values in self.vectors.items()}
        return Index(self.codes.to(device), self.sizes, self.trie.to(device), vectors, self.titles)

    def tokens(self, items: Int[Tensor, "*rows"]) -> Int[Tensor, "*rows L"]:
        """The tokens of items; `PAD` L times where an item is `PAD`."""
        offsets = torch.tensor(level_starts(self.sizes, 0), device=self.codes.device)
        found = self.codes[items.clamp_min(0)].long() + offsets
        return torch.where((items == PAD)[..., None], PAD, found)


def draw_items(num_items: int, most: int, device: torch.device) -> Int[Tensor, " K"]:
    """Items drawn by torch's random state; all of them, each once, where they are no more than `most`."""
    if num_items <= most:
        return torch.arange(num_items, device=device)
    return torch.randint(num_items, (most,), device=device)


def level_starts(sizes: tuple[int, ...], first: int) -> tuple[int, ...]:
    """The entry of code 0, by level, where the levels follow each other from entry `first` on."""
    return tuple(itertools.accumulate(sizes[:-1], initial=first))
