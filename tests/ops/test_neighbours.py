import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import neighbours as reference
from unisid.ops.neighbours import Incidence, co_occurrence


def _incidence(baskets: list[set[int]], num_items: int):
    pairs = [(u, i) for u, basket in enumerate(baskets) for i in sorted(basket)]
    users, items = np.array(pairs, np.int32).reshape(-1, 2).T
    return Incidence.of(users, items, len(baskets), num_items)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sets(st.integers(0, 8), max_size=6), min_size=1, max_size=12), st.integers(1, 10), st.integers(1, 40)
)
def test_equals_counting_pair_by_pair_however_it_is_cut(baskets: list[set[int]], width: int, pairs: int) -> None:
    taken = _incidence(baskets, 9)
    expected = reference.co_occurrence(baskets, 9, width)
    assert co_occurrence(taken, 0, 9, width, pairs).tolist() == expected
    assert co_occurrence(taken, 3, 7, width, pairs).tolist() == expected[3:7]
    by_cosine = reference.by_cosine(baskets, 9, width)
    assert co_occurrence(taken, 0, 9, width, pairs, "cosine").tolist() == by_cosine
    assert co_occurrence(taken, 3, 7, width, pairs, "cosine").tolist() == by_cosine[3:7]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.integers(0, 8), st.sampled_from([1, 2, 4, 8])), min_size=1, max_size=12))
def test_weights_count_by_their_products(baskets: list[dict[int, int]]) -> None:
    """Powers of two: their sums, products and squares are exact in floating point."""
    rows = [(u, i, basket[i]) for u, basket in enumerate(baskets) for i in sorted(basket)]
    users, items, weights = np.array(rows, np.int32).reshape(-1, 3).T
    taken = Incidence.of(users, items, len(baskets), 9, weights.astype(np.float64))
    for measure, cosine in (("count", False), ("cosine", True)):
        expected = reference.weighted(baskets, 9, 4, cosine)
        assert co_occurrence(taken, 0, 9, 4, 20, measure).tolist() == expected
    alike = Incidence.of(users, items, len(baskets), 9, np.ones(len(users)))
    plain = Incidence.of(users, items, len(baskets), 9)
    for measure in ("count", "cosine"):
        assert (co_occurrence(alike, 0, 9, 4, measure=measure) == co_occurrence(plain, 0, 9, 4, measure=measure)).all()


def test_a_popular_item_is_everybodys_neighbour_by_count_alone() -> None:
    """Everybody took item 8; items 2i and 2i + 1 are taken together."""
    baskets = [{8, 2 * (n % 4), 2 * (n % 4) + 1} if n % 3 else {8, 2 * (n % 4)} for n in range(48)]
    taken = _incidence(baskets, 9)
    assert co_occurrence(taken, 0, 8, 1)[::2, 0].tolist() == [8, 8, 8, 8]
    assert co_occurrence(taken, 0, 8, 1, measure="cosine")[:, 0].tolist() == [1, 0, 3, 2, 5, 4, 7, 6]


def test_blocks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from unisid.ops import neighbours

    held = []
    first = neighbours._first
    monkeypatch.setattr(neighbours, "_first", lambda product, *rest: held.append(product.nnz) or first(product, *rest))
    rng = np.random.default_rng(0)
    baskets = [set(rng.integers(0, 200, 12).tolist()) for _ in range(100)]
    co_occurrence(_incidence(baskets, 200), 0, 200, 5, pairs=500)
    assert max(held) <= 500
    assert len(held) > 5
