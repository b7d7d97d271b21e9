"""Vectors from steps: the eigenvectors of a slow twin, planted groups, and items of which nothing is known."""

import numpy as np
import pytest

from unisid.ops import spectral
from unisid.ops.spectral import normalised, step_vectors, strongest


def walks(num_users: int = 80, groups: int = 4, each: int = 10, seed: int = 0):
    """Users who stay in a group of items; the last item of all is never taken."""
    random = np.random.default_rng(seed)
    rows = [(user, each * (user % groups) + item) for user in range(num_users) for item in random.integers(0, each, 6)]
    users, items = np.array(rows).T
    return items, users, groups * each + 1


def matrix_by_pairs(items, users, num_items):
    """A, pair by pair."""
    counts, near = np.bincount(items, minlength=num_items), np.zeros((num_items, num_items))
    for i in range(len(items)):
        for j in range(len(items)):
            gap = abs(i - j)
            if users[i] == users[j] and 1 <= gap <= 10 and items[i] != items[j]:
                scale = (counts[items[i]] + 40) * (counts[items[j]] + 40)
                near[items[i], items[j]] += 0.7 ** (gap - 1) * scale**-0.4
    total = near.sum(axis=1)
    root = np.where(total > 0, 1 / np.sqrt(np.maximum(total, 1e-300)), 0)
    return root[:, None] * near * root


def test_the_matrix_is_that_of_all_pairs_and_symmetric():
    items, users, size = walks()
    found = normalised(items, users, size).toarray()
    assert np.allclose(found, matrix_by_pairs(items, users, size), atol=1e-6)
    assert np.allclose(found, found.T)


@pytest.mark.parametrize("dense", [True, False])
def test_the_strongest_are_those_of_all_eigenvectors(dense, monkeypatch):
    monkeypatch.setattr(spectral, "DENSE", 512 if dense else 0)
    matrix = normalised(*walks())
    values, axes = strongest(matrix, 5)
    assert np.allclose(values, np.sort(np.linalg.eigvalsh(matrix.toarray()))[::-1][:5], atol=1e-3)
    assert np.allclose(matrix @ axes, axes * values, atol=5e-3)
    assert all(axis[np.abs(axis).argmax()] > 0 for axis in axes.T)


def test_items_near_one_another_are_alike_and_an_unknown_one_is_zero():
    items, users, size = walks()
    vectors = step_vectors(items, users, size, 4)
    group = np.arange(size - 1) // 10
    alike = vectors[:-1] @ vectors[:-1].T
    assert alike[group[:, None] == group].min() > 0.9
    assert np.abs(alike[group[:, None] != group]).max() < 0.1
    assert not vectors[-1].any()
    assert np.allclose(np.linalg.norm(vectors[:-1], axis=1), 1)


def test_more_numbers_than_items_are_zero_at_the_end_and_the_same_comes_again():
    items, users, size = walks()
    vectors = step_vectors(items, users, size, 100)
    assert vectors.shape == (size, 100)
    assert not vectors[:, size:].any()
    assert np.array_equal(vectors, step_vectors(items, users, size, 100))


def test_without_a_step_all_are_zero():
    one_each = np.arange(3)
    assert not step_vectors(one_each, one_each, 3, 2).any()
