"""Finds items by the words of a text, for users without a history. N items, W words."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from unisid.serving.mapped import Arrays
from unisid.serving.strings import Numbers, Strings, numbered


class Texts:
    """The titles of a catalogue, weighed by tf-idf, for queries in words."""

    def __init__(self, arrays: Arrays, num_items: int) -> None:
        """Of what `weighed` returns for N titles."""
        from scipy import sparse
        from sklearn.feature_extraction.text import TfidfTransformer, TfidfVectorizer

        words = Strings(arrays["words"])
        self.number_of = Numbers(words, arrays["starts"], arrays["rows"])
        self.split, self.weigh = TfidfVectorizer().build_analyzer(), TfidfTransformer(sublinear_tf=True)
        self.weigh.idf_ = arrays["idf"]
        parts = tuple(arrays[name] for name in ("weights", "items", "ends"))
        self.titles = sparse.csr_matrix(parts, (len(words), num_items))  # [W, N]: a query reads the rows of its words

    def nearest(self, text: str) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """The items that share a word with a text, by the cosine of tf-idf vectors, best first, among equals the lower
        number; none where no title has any of its words. Scores are logarithms of the cosine."""
        from scipy import sparse

        counts = Counter(number for word in self.split(text) if (number := self.number_of.get(word)) is not None)
        if not counts:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        words = sorted(counts)
        row = (np.array([counts[word] for word in words], np.float32), ([0] * len(words), words))
        query = self.weigh.transform(sparse.csr_matrix(row, (1, self.titles.shape[0])))
        found = (query @ self.titles).tocoo()
        order = np.lexsort((found.col, -found.data))
        return found.col[order].astype(np.int64), np.log(found.data[order].clip(1e-30)).astype(np.float32)


def weighed(titles: Sequence[str]) -> Arrays:
    """The arrays of `Texts`: words with their hash and weight, and each title's weights by word."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    known = TfidfVectorizer(sublinear_tf=True, dtype=np.float32)
    try:
        by_word = known.fit_transform(titles).T.tocsr()
        words, idf = known.get_feature_names_out().tolist(), known.idf_.astype(np.float32)
        parts = by_word.data, by_word.indices, by_word.indptr
    except ValueError:  # no title holds a word
        words, idf = [], np.empty(0, np.float32)
        parts = np.empty(0, np.float32), np.empty(0, np.int32), np.zeros(1, np.int32)
    starts, rows = numbered(words)
    found: Arrays = {"words": pa.array(words, pa.string()), "idf": idf, "starts": starts, "rows": rows}
    return found | dict(zip(("weights", "items", "ends"), parts, strict=True))
