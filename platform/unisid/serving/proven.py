"""The answers of a search, and how far they are certainly the best of all. n histories, k items each."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class Proven:
    """A search result with the part of it that is proven exact."""

    items: Int[np.ndarray, "n k"]
    """Best first; -1 fills up."""
    scores: Float[np.ndarray, "n k"]
    """-inf where there is no item."""
    bound: Float[np.ndarray, " n"]
    """No other item scores higher: -inf where the search was exact, inf where nothing is known."""
    beam: Int[np.ndarray, " n"]
    """The width that found it: the most prefixes of a level that it may have kept."""

    @property
    def proven(self) -> Int[np.ndarray, " n"]:
        """How many of the first items [n] are the best of all, certainly."""
        certain = (self.scores > self.bound[:, None]) & (self.items >= 0)
        return certain.cumprod(1).sum(1)

    @property
    def slack(self) -> Float[np.ndarray, " n"]:
        """How much more than the last item of the answer [n] one that was not found may score: 0 where the answer is
        certain, inf where nothing is known."""
        filled = (self.items >= 0).sum(1)
        last = np.where(filled > 0, self.scores[np.arange(len(filled)), np.maximum(filled, 1) - 1], -np.inf)
        with np.errstate(invalid="ignore"):  # -inf less -inf, where there is nothing to find and nothing was
            return np.where(self.whole, 0.0, np.maximum(self.bound - last, 0.0)).astype(np.float32)

    @property
    def whole(self) -> Bool[np.ndarray, " n"]:
        """Whether all of the answer [n] is certain; one of fewer than k items has all that there are."""
        return self.proven == (self.items >= 0).sum(1)
