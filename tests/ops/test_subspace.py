"""k-means in few directions: the best of them for given clusters, and never worse from round to round."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import subspace as reference
from unisid.ops.kmeans import kmeans
from unisid.ops.residual import nearest
from unisid.ops.subspace import best_in_subspace, subspace_kmeans


def points(seed: int, count: int = 60, width: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    middle = 2 * torch.randn(6, width, generator=generator)
    return middle[torch.arange(count) % 6] + torch.randn(count, width, generator=generator)


def loss(rows: torch.Tensor, centroids: torch.Tensor) -> float:
    return reference.loss(rows.double().numpy(), centroids.double().numpy(), nearest(rows, centroids).tolist())


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 4), st.integers(2, 8))
def test_centroids_of_given_clusters_are_those_of_the_slow_twin(seed, directions, size):
    rows = points(seed)
    codes = torch.randint(0, size, (60,), generator=torch.Generator().manual_seed(seed))
    before = torch.randn(size, 5, generator=torch.Generator().manual_seed(seed))
    found = best_in_subspace(rows, codes, before, directions)
    wanted = reference.best_in_subspace(rows.numpy(), codes.tolist(), size, directions)
    for mine, theirs in zip(found, wanted, strict=True):
        if theirs is not None:
            torch.testing.assert_close(mine, torch.from_numpy(theirs).float(), atol=1e-4, rtol=1e-4)
    assert torch.linalg.matrix_rank(found, rtol=1e-4) <= directions


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 4))
def test_no_other_subspace_is_nearer_to_the_rows_of_given_clusters(seed, directions):
    rows, generator = points(seed), torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 6, (60,), generator=generator)
    best = best_in_subspace(rows, codes, rows[:6], directions)
    axes = torch.linalg.qr(torch.randn(5, directions, generator=generator)).Q
    means = torch.stack([rows[codes == k].mean(0) if (codes == k).any() else rows[k] for k in range(6)])
    other = means @ axes @ axes.T
    mine, theirs = (reference.loss(rows.numpy(), c.numpy(), codes.tolist()) for c in (best, other))
    assert mine <= theirs * (1 + 1e-5)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 1000), st.integers(1, 4))
def test_more_rounds_never_lose_more(seed, directions):
    losses = [
        loss(points(seed), subspace_kmeans(points(seed), 6, directions, seed=3, rounds=rounds)) for rounds in range(5)
    ]
    assert all(later <= earlier * (1 + 1e-5) for earlier, later in itertools.pairwise(losses))


@pytest.mark.parametrize("directions", [5, 9])
def test_in_all_directions_it_is_kmeans(directions):
    assert torch.equal(subspace_kmeans(points(0), 6, directions, seed=3), kmeans(points(0), 6, seed=3))


def test_a_cluster_without_rows_keeps_its_centroid_in_the_new_subspace():
    rows = torch.tensor([[2.0, 0.0], [4.0, 0.0], [-3.0, 0.0]])
    before = torch.tensor([[3.0, 1.0], [-3.0, 0.0], [7.0, 5.0]])
    found = best_in_subspace(rows, torch.tensor([0, 0, 1]), before, 1)
    torch.testing.assert_close(found, torch.tensor([[3.0, 0.0], [-3.0, 0.0], [7.0, 0.0]]))
