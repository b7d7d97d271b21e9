"""k-means: determinism, its fixed point, its odd inputs; residual codebooks lower the error level by level."""

import pytest
import torch

from unisid.ops.kmeans import (
    balanced_kmeans,
    balanced_residual_kmeans,
    groups,
    hierarchical_kmeans,
    kmeans,
    residual_kmeans,
    unwatched,
)
from unisid.ops.product import product_kmeans
from unisid.ops.residual import lookup, nearest, quantize


def blobs(centres: int, each: int, width: int = 5, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    middle = torch.randn(centres, 1, width, generator=generator) * 10
    rows = (middle + torch.randn(centres, each, width, generator=generator) * 0.1).reshape(-1, width)
    return rows[torch.randperm(len(rows), generator=generator)]


def test_same_rows_and_seed_give_the_same_bytes():
    rows = torch.randn(2000, 16, generator=torch.Generator().manual_seed(3))
    first = kmeans(rows, 32, seed=7, restarts=2)
    assert torch.equal(first, kmeans(rows, 32, seed=7, restarts=2))
    assert not torch.equal(first, kmeans(rows, 32, seed=8, restarts=2))


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_do_not_change_the_result(threads):
    rows = torch.randn(3000, 8, generator=torch.Generator().manual_seed(3))
    expected = kmeans(rows, 16, seed=1)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        assert torch.equal(kmeans(rows, 16, seed=1), expected)
    finally:
        torch.set_num_threads(before)


def test_blobs_are_found_and_centroids_are_their_means():
    rows = blobs(4, 50)
    centroids = kmeans(rows, 4, seed=0, restarts=5, iterations=50)
    code = nearest(rows, centroids)
    assert torch.bincount(code).tolist() == [50] * 4
    for k in range(4):
        torch.testing.assert_close(centroids[k], rows[code == k].mean(0), atol=1e-4, rtol=1e-4)


def clusters_in_clusters(rows: int, width: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randn(64, width, generator=generator)
    fine = 0.5 * torch.randn(256, width, generator=generator)
    first = torch.randint(64, (rows,), generator=generator)
    second = torch.randint(256, (rows,), generator=generator)
    return 3 + coarse[first] + fine[second] + 0.2 * torch.randn(rows, width, generator=generator)


def test_growing_numbers_of_dimensions_end_at_a_lower_error():
    rows = clusters_in_clusters(4000)

    def error(steps: int, seed: int) -> float:
        centroids = kmeans(rows, 64, seed=seed, dimension_steps=steps)
        return float((rows - centroids[nearest(rows, centroids)]).square().sum())

    for seed in range(3):
        assert error(8, seed) < 0.95 * error(1, seed)


def test_in_growing_numbers_of_dimensions_centroids_are_means_and_repeat():
    rows = blobs(4, 50)
    centroids = kmeans(rows, 4, seed=0, restarts=5, iterations=50, dimension_steps=3)
    code = nearest(rows, centroids)
    for k in range(4):
        torch.testing.assert_close(centroids[k], rows[code == k].mean(0), atol=1e-3, rtol=1e-3)
    again = kmeans(rows, 4, seed=0, restarts=5, iterations=50, dimension_steps=3)
    assert torch.equal(centroids, again)
    assert torch.equal(kmeans(rows[:3], 5, seed=0, dimension_steps=3), rows[[0, 1, 2, 0, 1]])


def test_more_restarts_are_never_worse():
    rows = blobs(12, 20, seed=5)
    errors = []
    for restarts in (1, 8):
        centroids = kmeans(rows, 12, seed=2, restarts=restarts)
        errors.append(float((rows - centroids[nearest(rows, centroids)]).square().sum()))
    assert errors[1] <= errors[0] * (1 + 1e-6)


def test_fewer_rows_than_codes_and_equal_rows():
    few = torch.randn(3, 4)
    assert torch.equal(kmeans(few, 8, seed=0), few[torch.arange(8) % 3])
    same = torch.ones(50, 4)
    torch.testing.assert_close(kmeans(same, 8, seed=0)[nearest(same, kmeans(same, 8, seed=0))], same, atol=2e-3, rtol=0)


def test_every_level_lowers_the_error():
    rows = torch.randn(1500, 8, generator=torch.Generator().manual_seed(0))
    books = residual_kmeans(rows, 4, 16, seed=0)
    errors = [float((rows - lookup(quantize(rows, books[:m]), books[:m])).square().mean()) for m in range(1, 5)]
    assert errors == sorted(errors, reverse=True)
    assert torch.equal(books, residual_kmeans(rows, 4, 16, seed=0))


@pytest.mark.parametrize("count", [96, 100])
def test_balanced_clusters_are_equally_large_and_centroids_their_means(count):
    rows = torch.cat([blobs(1, count - 20), blobs(1, 20, seed=1)])
    centroids, codes = balanced_kmeans(rows, 8, seed=0)
    sizes = torch.bincount(codes, minlength=8)
    assert sizes.max() <= -(-count // 8)
    assert sizes.min() >= count // 8
    for k in range(8):
        torch.testing.assert_close(centroids[k], rows[codes == k].mean(0), atol=1e-4, rtol=1e-4)
    plain = torch.bincount(nearest(rows, kmeans(rows, 8, seed=0)), minlength=8)
    assert plain.max() > sizes.max()


def test_clusters_are_equally_popular_where_rows_are_weighed():
    rows, loads = blobs(8, 25), torch.randint(1, 30, (200,), generator=torch.Generator().manual_seed(0))
    centroids, codes = balanced_kmeans(rows, 8, seed=0, loads=loads)
    held = torch.bincount(codes, weights=loads.double(), minlength=8)
    assert held.max() < -(-loads.sum() // 8) + loads.max()
    for k in range(8):
        torch.testing.assert_close(centroids[k], rows[codes == k].mean(0), atol=1e-4, rtol=1e-4)
    alike = balanced_kmeans(rows, 8, seed=0, loads=torch.ones(200, dtype=torch.long))
    assert torch.equal(alike[0], balanced_kmeans(rows, 8, seed=0)[0])


def test_a_cluster_that_heavy_rows_leave_empty_keeps_its_centroid():
    """One row outweighs all others, so that three clusters are never full."""
    rows = torch.cat([blobs(1, 11), torch.full((1, 5), 40.0)])
    loads = torch.cat([torch.ones(11), torch.tensor([1000.0])]).long()
    centroids, codes = balanced_kmeans(rows, 4, seed=0, loads=loads)
    assert centroids.isfinite().all()
    assert len(codes) == 12


def test_balanced_blobs_are_found():
    rows = blobs(4, 50)
    centroids, codes = balanced_kmeans(rows, 4, seed=0)
    assert torch.equal(codes, nearest(rows, centroids))
    again = balanced_kmeans(rows, 4, seed=0)
    assert torch.equal(again[0], centroids)


def test_balanced_books_of_few_rows_and_of_residuals():
    few = torch.randn(3, 4)
    centroids, codes = balanced_kmeans(few, 8, seed=0)
    assert torch.equal(centroids[codes], few)
    rows = torch.randn(600, 8, generator=torch.Generator().manual_seed(0))
    books = balanced_residual_kmeans(rows, 3, 8, seed=0)
    errors = [float((rows - lookup(quantize(rows, books[:m]), books[:m])).square().mean()) for m in range(1, 4)]
    assert errors == sorted(errors, reverse=True)


def test_groups_are_all_rows_by_key():
    keys = torch.tensor([7, 2, 7, 9, 2, 7])
    assert [(key, rows.tolist()) for key, rows in groups(keys)] == [(2, [1, 4]), (7, [0, 2, 5]), (9, [3])]
    assert list(groups(keys[:0])) == []


def test_a_tree_clusters_every_cluster_for_itself():
    rows = blobs(6, 30, seed=2)
    tree = hierarchical_kmeans(rows, 2, 3, seed=0, restarts=3)
    assert tree.shape == (3 + 9, 5)
    torch.testing.assert_close(tree[:3], kmeans(rows, 3, seed=0, restarts=3))
    top = nearest(rows, tree[:3])
    for node in range(3):
        expected = kmeans(rows[top == node], 3, seed=1, restarts=3)
        torch.testing.assert_close(tree[3 + 3 * node : 6 + 3 * node], expected)


def test_a_cluster_without_members_hands_its_centroid_down():
    rows = torch.tensor([[0.0], [10.0]]).repeat(1, 2)
    tree = hierarchical_kmeans(rows, 3, 3, seed=0)  # the third child repeats the first, and has no members
    assert tree.shape == (3 + 9 + 27, 2)
    assert tree[0].tolist() == tree[2].tolist()
    assert (tree[3 + 6 : 3 + 9] == tree[2]).all()
    assert (tree[3 + 9 + 18 :] == tree[2]).all()


@pytest.mark.parametrize(
    ("fit", "total", "least"),
    [
        (lambda rows, seen: residual_kmeans(rows, 3, 4, seed=1, on_round=seen), 3, 3),
        (lambda rows, seen: balanced_residual_kmeans(rows, 3, 4, seed=1, iterations=5, on_round=seen), 15, 3),
        (lambda rows, seen: hierarchical_kmeans(rows, 2, 3, seed=1, on_round=seen), 2 * 60, 1 + 3),  # rows, a cluster
        (lambda rows, seen: product_kmeans(rows, 3, 4, seed=1, on_round=seen), 3, 3),
    ],
    ids=["residual", "balanced", "tree", "product"],
)
def test_how_far_it_is_is_told_and_changes_nothing(fit, total, least):
    rows = torch.randn(60, 3, generator=torch.Generator().manual_seed(2))
    seen = []
    found = fit(rows, lambda done, of: seen.append(done / of))
    assert torch.equal(found, fit(rows, unwatched))
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert len(seen) >= least
    assert set(seen) <= {done / total for done in range(1, total + 1)}
