"""The semantic ids that a tokenizer gives now, in the middle of its training: unique, by the rules of `codes`.

All in this process: a tokenizer that still learns lies in no file that other workers could read. N items, n of
them, D width, L levels, l of them quantized.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unisid.artifacts.store import Place
from unisid.compute import Part, Pool, Step
from unisid.errors import DataError
from unisid.ops.assignment import ordinals
from unisid.ops.prefixes import row_keys
from unisid.stages.codes.unique import PART_ROWS, unique_codes
from unisid.tokenizers import Tokenizer


@dataclass(frozen=True)
class Live:
    """A tokenizer and the vectors of all items, in memory: what `codes.unique.Encoder` offers."""

    fitted: Tokenizer
    vectors: Float[Tensor, "N D"]

    def tokenizer(self) -> Tokenizer:
        return self.fitted

    def read(self, tokenizer: Tokenizer, rows: Int[np.ndarray, " n"]) -> Float[Tensor, "n D"]:
        """The vectors of items."""
        return self.vectors[torch.from_numpy(rows).to(self.vectors.device)]


class Here:
    """Maps parts one after the other, in this process."""

    def map(self, parts: Sequence[Part], *steps: Step) -> Iterator[pa.Table]:
        """One table a part."""
        made = [step.make() for step in steps]
        for part in parts:
            table = pa.Table.from_pylist([part])
            for step in made:
                table = step(table)
            yield table


@torch.no_grad()
def nearest_codes(live: Live) -> Int[np.ndarray, "N l"]:
    """The tokenizer's own codes of all items, of which some may be equal."""
    return torch.cat([live.fitted.encode(rows) for rows in live.vectors.split(PART_ROWS)]).int().cpu().numpy()


def unique_now(
    live: Live, sizes: tuple[int, ...], levels: int
) -> tuple[Int[np.ndarray, "N L"], Bool[np.ndarray, " N"]]:
    """The codes of all items, of which no two are equal, and whether an item's are other than the nearest.

    Args:
        levels: l. Where the ids have one more, that level counts the items of a tuple; else equal codes are resolved.

    Raises:
        DataError: more items share a tuple than the counting level has codes.
    """
    nearest = nearest_codes(live)
    if len(sizes) > levels:
        ordinal = ordinals(row_keys(nearest)).astype(np.int32)
        most = int(ordinal.max(initial=0)) + 1
        if most > sizes[-1]:
            raise DataError(
                f"joint: {most} items share one tuple of codes, the level that counts them has {sizes[-1]}: the codes "
                "collapse; lower joint.method.tokenizer_rate, or set codes.unique to assign"
            )
        return np.column_stack([nearest, ordinal]), np.zeros(len(nearest), bool)
    with tempfile.TemporaryDirectory(prefix="unisid-joint-") as folder:
        codes = unique_codes(Here(), Pool(), Place.of(Path(folder)), live, nearest, sizes)
    return codes, (codes != nearest).any(1)
