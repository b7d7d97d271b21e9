"""Finds items by the words of a text, for users without a history. N items, W words."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Texts:
    """The titles of a catalogue, weighed by tf-idf, for queries in words."""

    def __init__(self, titles: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.words = TfidfVectorizer(sublinear_tf=True, dtype=np.float32)
        try:
            self.titles = self.words.fit_transform(titles).T.tocsr()  # [W, N]: a query reads the rows of its words
        except ValueError:  # no title holds a word
            self.titles = None

    def nearest(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The items that share a word with a text, by the cosine of tf-idf vectors, best first, among equals the lower
        number; none where no title has any of its words. Scores are logarithms of the cosine."""
        if self.titles is None:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        found = (self.words.transform([text]) @ self.titles).tocoo()
        order = np.lexsort((found.col, -found.data))
        return found.col[order].astype(np.int64), np.log(found.data[order].clip(1e-30)).astype(np.float32)
