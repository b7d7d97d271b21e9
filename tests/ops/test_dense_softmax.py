import pytest
import torch
from torch.nn import functional

from unisid.ops import dense_softmax
from unisid.ops.dense_softmax import dense_softmax_loss


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
