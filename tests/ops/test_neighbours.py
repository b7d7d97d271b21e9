import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import neighbours as reference
from unisid.ops import nearest
from unisid.ops.nearest import Nearest
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


def _vectors(num: int = 400) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(num, 8)).astype(np.float32)


def test_nearest_equals_sorting_all_cosines() -> None:
    vectors = _vectors(50)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -2)
    found = Nearest.build(vectors, 6).neighbours(10, 30)
    assert found.tolist() == np.argsort(-cosine, axis=1)[10:30, :6].tolist()


def test_nearest_of_few_ends_with_minus_one() -> None:
    found = Nearest.build(_vectors(3), 5).neighbours(0, 3)
    assert (np.sort(found, axis=1)[:, :3] == -1).all()
    assert {tuple(sorted(row[:2])) for row in found.tolist()} == {(1, 2), (0, 2), (0, 1)}


def test_an_item_is_never_its_own_neighbour_among_equals() -> None:
    found = Nearest.build(np.ones((20, 4), np.float32), 3).neighbours(0, 20)
    assert not (found == np.arange(20)[:, None]).any()
    assert (found >= 0).all()


def test_inverted_lists_search_until_enough_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "FEWEST", 1)
    vectors = _vectors(2000)
    truth = Nearest.build(vectors, 10).neighbours(0, 2000)
    probes = []
    for least in (0.0, 0.5, 0.97):
        monkeypatch.setattr(nearest, "RECALL", least)
        monkeypatch.setattr(nearest, "QUERIES", 2000)
        made, again = (Nearest.build(vectors, 10, exact_limit=100) for _ in range(2))
        found = made.neighbours(0, 2000)
        shares = [len(np.intersect1d(t, f)) / 10 for t, f in zip(truth, found, strict=True)]
        assert made.recall == pytest.approx(np.mean(shares), abs=1e-4)
        assert made.recall >= least
        assert (found == again.neighbours(0, 2000)).all()
        assert made.searched == made.index.nprobe
        probes.append(made.searched)
    assert probes[0] == 1
    assert probes == sorted(set(probes))


def test_a_search_that_finds_too_little_ends_at_its_share_of_the_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "MOST", 4)
    made = Nearest.build(np.random.default_rng(0).normal(size=(20_000, 32)).astype(np.float32), 10, exact_limit=100)
    assert made.searched == made.index.nprobe == int(4 * 20_000**0.5) // nearest.SHARE
    assert 0.0 < made.recall < nearest.RECALL


def test_equal_vectors_count_as_found() -> None:
    """Each of 40 vectors is there 50 times: any ten of the 49 others are the nearest."""
    made = Nearest.build(np.repeat(_vectors(40), 50, axis=0), 10, exact_limit=100)
    assert made.recall == pytest.approx(1.0)
    assert made.searched == nearest.FEWEST
