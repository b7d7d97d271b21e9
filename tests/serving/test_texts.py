"""Items by the words of a text, beside cosines computed one by one."""

import math
from collections import Counter

import numpy as np
import pytest

from unisid.serving.texts import Texts, weighed

TITLES = ["red lamp", "Blue lamp, blue shade", "", "red red chair", "a b"]


def slow(text):
    """Cosine of tf-idf vectors with 1 + log counts and smoothed document frequencies, as scikit-learn defines them."""
    words = [Counter(w for w in title.lower().replace(",", "").split() if len(w) > 1) for title in TITLES]
    idf = {w: math.log((1 + len(TITLES)) / (1 + sum(w in each for each in words))) + 1 for each in words for w in each}

    def unit(counts):
        found = {w: (1 + math.log(n)) * idf[w] for w, n in counts.items() if w in idf}
        norm = math.sqrt(sum(v * v for v in found.values())) or 1
        return {w: v / norm for w, v in found.items()}

    query = unit(Counter(text.lower().split()))
    return [sum(query[w] * v for w, v in unit(each).items() if w in query) for each in words]


@pytest.mark.parametrize("text", ["red", "blue lamp", "lamp lamp red", "chair of oak"])
def test_the_nearest_titles_are_those_of_most_weight_in_common(text):
    items, scores = Texts(weighed(TITLES), len(TITLES)).nearest(text)
    expected = np.array(slow(text))
    assert items.tolist() == [i for i in np.lexsort((np.arange(5), -expected.round(6))) if expected[i] > 0]
    np.testing.assert_allclose(np.exp(scores), expected[items], rtol=1e-5)


@pytest.mark.parametrize(("titles", "text"), [(TITLES, "oak"), (TITLES, ""), (["", "a"], "red")])
def test_where_no_title_has_a_word_there_is_none(titles, text):
    items, scores = Texts(weighed(titles), len(titles)).nearest(text)
    assert (len(items), len(scores)) == (0, 0)
