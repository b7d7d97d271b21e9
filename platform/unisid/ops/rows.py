"""How near the rows of an embedding lie to one another. M rows, D width."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from unisid.ops.semantic_ids import letters


def mean_cosine(rows: Float[Tensor, "M D"]) -> float:
    """The mean cosine of two different rows; 1 where there is only one."""
    units, number = functional.normalize(rows.double(), dim=1), len(rows)
    both = float(units.sum(0).square().sum())
    return (both - number) / (number * (number - 1)) if number > 1 else 1.0


def cosine_by_level(rows: Float[Tensor, "M D"], sizes: Sequence[int]) -> dict[str, float]:
    """By level, the mean cosine of two of its tokens' rows; the levels follow one another."""
    parts = rows.split(list(sizes))
    return {letters(level): round(mean_cosine(part), 4) for level, part in enumerate(parts)}
