import pytest
import torch
from torch.nn import functional

from unisid.ops import dense_softmax
from unisid.ops.dense_softmax import dense_softmax_loss, sampled_softmax_loss
from unisid.ops.inclusion import drawn, shares


def inputs(seed=0):
    torch.manual_seed(seed)
    queries, items = torch.randn(7, 4, requires_grad=True), torch.randn(9, 4, requires_grad=True)
    added_to = torch.tensor([[0, 3, 3], [1, 1, 2], [8, 0, 4], [5, 6, 7], [0, 0, 0], [2, 8, 8], [4, 3, 1]])
    added = torch.randn(7, 3, requires_grad=True)
    return queries, items, added_to, added, torch.tensor([3, 1, 5, 0, 8, 2, 4])


def plain(queries, items, added_to, added, targets):
    logits = (queries @ items.T).scatter_add(1, added_to, added)
    return functional.cross_entropy(logits, targets, reduction="sum")


@pytest.mark.parametrize("logits", [9, 20, 1 << 20])
def test_loss_and_gradients_are_those_of_the_whole_matrix(monkeypatch, logits):
    monkeypatch.setattr(dense_softmax, "LOGITS", logits)
    ours, theirs = inputs(), inputs()
    first, second = dense_softmax_loss(*ours), plain(*theirs)
    assert torch.allclose(first, second, atol=1e-5)
    (first * 3).backward()
    (second * 3).backward()
    for place in (0, 1, 3):
        assert torch.allclose(ours[place].grad, theirs[place].grad, atol=1e-5)


def test_in_bfloat16_it_stays_near():
    ours, theirs = inputs(), inputs()
    with torch.autocast("cpu", torch.bfloat16):
        first = dense_softmax_loss(*ours)
    first.backward()
    plain(*theirs).backward()
    assert torch.allclose(first, plain(*theirs), rtol=0.02)
    assert torch.allclose(ours[1].grad, theirs[1].grad, atol=0.1)


def distinct():
    """The inputs with each item at most once in a row, and which additions are real."""
    queries, items, _, added, targets = inputs()
    added_to = torch.tensor([[0, 3, 7], [1, 0, 2], [8, 0, 4], [5, 6, 7], [0, 1, 0], [2, 8, 0], [4, 3, 1]])
    real = torch.tensor([[True] * 3] * 4 + [[True, True, False]] * 2 + [[False] * 3])
    return queries, items, added_to, added, real, targets


def sampled(queries, items, added_to, added, real, targets, sample, share):
    return sampled_softmax_loss(
        queries, lambda some: items[some], len(items), added_to, added, real, targets, sample, share
    )


def test_a_sample_of_all_items_gives_the_loss_and_the_gradients_of_all():
    ours, theirs = distinct(), distinct()
    first = sampled(*ours, torch.arange(9), torch.ones(9))
    queries, items, added_to, added, real, targets = theirs
    second = dense_softmax_loss(queries, items, added_to, torch.where(real, added, 0.0), targets)
    assert torch.allclose(first, second, atol=1e-5)
    first.backward()
    second.backward()
    for place in (0, 1, 3):
        assert torch.allclose(ours[place].grad, theirs[place].grad, atol=1e-5)


def test_the_estimated_sum_and_its_gradient_have_the_expectation_of_the_sum_of_all():
    """Over all samples that can be drawn, e^(loss + own) is the softmax's denominator."""
    share, steps = shares(torch.linspace(0.5, 3, 9), 4), 500
    one = slice(1, 2)

    def denominator(loss, queries, items, added_to, added, real, targets):
        is_target = (added_to == targets[:, None]) & real
        own = (queries * items[targets]).sum() + torch.where(is_target, added, 0.0).sum()
        return (loss + own).exp()

    ours, theirs = distinct(), distinct()
    mine = [part[one] if place != 1 else part for place, part in enumerate(ours)]
    total = 0.0
    for step in range(steps):
        sample = drawn(share, torch.tensor((step + 0.5) / steps, dtype=torch.float64))
        total = total + denominator(sampled(*mine, sample, share[sample]), *mine) / steps
    others = [part[one] if place != 1 else part for place, part in enumerate(theirs)]
    queries, items, added_to, added, real, targets = others
    full = denominator(dense_softmax_loss(queries, items, added_to, torch.where(real, added, 0.0), targets), *others)
    assert torch.allclose(total, full, rtol=1e-2)
    total.backward()
    full.backward()
    for place in (0, 1, 3):
        assert torch.allclose(ours[place].grad, theirs[place].grad, rtol=2e-2, atol=2e-2)
