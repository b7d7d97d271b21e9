"""What joint training did to the ids (UniGRec, figure 6). N items, L levels, l of them quantized."""

import numpy as np
from jaxtyping import Int

from unisid.config import Json


def changes(before: Int[np.ndarray, "N L"], after: Int[np.ndarray, "N L"], levels: int) -> Json:
    """The shares of items whose codes are others than before: at all, in the first level, by level, by how many levels;
    of the l levels that are quantized, not of one that counts."""
    differ = before[:, :levels] != after[:, :levels]
    count = max(1, len(differ))
    return {
        "changed_share": float(differ.any(1).sum() / count),
        "changed_first_level": float(differ[:, 0].sum() / count),
        "by_level": [float(share) for share in differ.sum(0) / count],
        "by_number": [float(share) for share in np.bincount(differ.sum(1), minlength=levels + 1) / count],
    }
