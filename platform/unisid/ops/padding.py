"""Rows of unequal length side by side, short ones filled up on the right. B rows, T entries of the longest."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

PAD = -1
"""Fills short rows of items."""


def padded(
    values: NDArray[Any], lengths: NDArray[Any], starts: NDArray[Any] | None = None, width: int = 0
) -> Int[Tensor, "B T"]:
    """Rows values[starts[i] : starts[i] + lengths[i]], filled up with PAD to the longest or to `width`.

    Args:
        starts: None where the rows follow one another.
    """
    starts = np.cumsum(lengths) - lengths if starts is None else starts
    columns = np.arange(max(width, int(lengths.max(initial=0))))
    real = columns < lengths[:, None]
    filled = np.full(real.shape, PAD, np.int64)
    filled[real] = values[(starts[:, None] + columns)[real]]
    return torch.from_numpy(filled)
