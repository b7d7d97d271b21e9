"""Nearest vectors beside a sort of all cosines; inverted lists find what their recall says."""

import numpy as np
import pytest

from unisid.ops import nearest
from unisid.ops.nearest import Nearest


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
