"""LETTER's losses: their twins, what counts and what does not, shares of a batch."""

import pytest
import torch

from tests.references import alignment as twin
from unisid.ops.alignment import alignment_loss, diversity_loss


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_alignment_is_its_twin():
    quantized, candidates, own = drawn(4, 5), drawn(9, 5, seed=1), torch.tensor([2, 0, 8, 3])
    known = torch.tensor([True, True, False, True, True, False, True, True, True])
    expected = twin.alignment_loss(quantized.numpy(), candidates.numpy(), own.tolist(), known.tolist())
    # Three of four rows are known here, seven of nine candidates: shares are weighed so that workers average.
    weighed = expected * 3 * (9 / 4) / 7
    assert float(alignment_loss(quantized, candidates, own, known)) == pytest.approx(weighed, rel=1e-5)


def test_shares_average_to_the_whole_batch():
    candidates, known = drawn(12, 3, seed=1), torch.arange(12) % 3 != 0
    known[6:] = True  # the halves know unequally much
    results = []
    for parts in ([slice(0, 12)], [slice(0, 6), slice(6, 12)]):
        quantized = drawn(12, 3).requires_grad_()
        own = torch.arange(12)
        loss = torch.stack([alignment_loss(quantized[p], candidates, own[p], known) for p in parts]).mean()
        loss.backward()
        results.append((loss.detach(), quantized.grad))
    expected = twin.alignment_loss(drawn(12, 3).numpy(), candidates.numpy(), range(12), known.tolist())
    assert float(results[0][0]) == pytest.approx(expected, rel=1e-5)
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(one, two)


def test_items_without_interactions_neither_count_nor_are_strangers():
    quantized, candidates = drawn(6, 3).requires_grad_(), drawn(6, 3, seed=1)
    known = torch.tensor([True, True, True, True, False, False])
    loss = alignment_loss(quantized, candidates, torch.arange(6), known)
    loss.backward()
    assert (quantized.grad[4:] == 0).all()
    assert (quantized.grad[:4] != 0).any(1).all()
    moved = candidates.clone()
    moved[4:] = 100
    assert torch.equal(alignment_loss(quantized, moved, torch.arange(6), known), loss)


def test_where_nothing_is_known_there_is_nothing_to_learn():
    quantized = drawn(4, 3).requires_grad_()
    loss = alignment_loss(quantized, torch.zeros(4, 3), torch.arange(4), torch.zeros(4, dtype=torch.bool))
    loss.backward()
    assert float(loss.detach()) == 0
    assert (quantized.grad == 0).all()


def test_diversity_is_its_twin():
    codewords, clusters = drawn(7, 4), torch.tensor([0, 1, 0, 2, 1, 0, 1])  # number 3 is alone
    codes = torch.tensor([0, 0, 3, 6, 2, 4, 4, 0])
    usage = torch.bincount(codes, minlength=7) / len(codes)
    expected = twin.diversity_loss(codewords.numpy(), clusters.tolist(), codes.tolist())
    assert float(diversity_loss(codewords, clusters, usage)) == pytest.approx(expected, rel=1e-5)


def test_descent_on_diversity_brings_a_cluster_together_and_clusters_apart():
    codewords = (0.1 * drawn(8, 4)).requires_grad_()
    clusters, usage = torch.arange(8) % 2, torch.full((8,), 1 / 8)
    before = (codewords @ codewords.T).detach()
    for _ in range(50):
        (gradient,) = torch.autograd.grad(diversity_loss(codewords, clusters, usage), codewords)
        with torch.no_grad():
            codewords -= 0.5 * gradient
    change = (codewords @ codewords.T).detach() - before
    same = (clusters[:, None] == clusters) & ~torch.eye(8, dtype=torch.bool)
    assert change[same].mean() > 0 > change[clusters[:, None] != clusters].mean()
