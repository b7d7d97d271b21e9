import pytest
import torch

from tests.references import next_item as slow
from unisid.ops.next_item import binary_loss, sampled_softmax_loss, softmax_loss, unknown_items


@pytest.fixture
def world():
    generator = torch.Generator().manual_seed(0)
    states, items = (torch.randn(n, 4, generator=generator) for n in (6, 9))
    return states, items, torch.tensor([0, 3, 8, 3, 5, 1])


def test_softmax_equals_its_twin(world):
    states, items, targets = world
    expected = slow.softmax_loss(states.tolist(), items.tolist(), targets.tolist())
    assert softmax_loss(states, items, targets).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("negatives", [[3, 3, 1, 0, 7], [4], [3]])
def test_sampled_softmax_equals_its_twin(world, negatives):
    """Also where a target is among the negatives, or is all there is of them."""
    states, items, targets = world
    expected = slow.sampled_softmax_loss(states.tolist(), items.tolist(), targets.tolist(), negatives)
    found = sampled_softmax_loss(states, items, targets, torch.tensor(negatives))
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_sampled_softmax_with_every_item_once_is_the_softmax(world):
    states, items, targets = world
    found = sampled_softmax_loss(states, items, targets, torch.arange(len(items)))
    torch.testing.assert_close(found, softmax_loss(states, items, targets))


def test_binary_equals_its_twin(world):
    states, items, targets = world
    negatives = torch.tensor([1, 2, 0, 4, 4, 8])
    expected = slow.binary_loss(states.tolist(), items.tolist(), targets.tolist(), negatives.tolist())
    assert binary_loss(states, items, targets, negatives).item() == pytest.approx(expected, rel=1e-5)


def test_unknown_items_are_uniform_over_what_a_row_does_not_hold():
    known = torch.tensor([[2, 2, 5, -1], [0, 1, 2, 3], [-1, -1, -1, -1]])
    draws = ((torch.arange(12, dtype=torch.float64) + 0.5) / 12).expand(3, -1)
    found = unknown_items(known, draws, num_items=6)
    for row, expected in zip(found, ([0, 1, 3, 4], [4, 5], [0, 1, 2, 3, 4, 5]), strict=True):
        values, counts = row.unique(return_counts=True)
        assert values.tolist() == expected
        assert counts.unique().tolist() == [12 // len(expected)]


def test_no_draw_reaches_past_the_last_item():
    almost = torch.full((1, 1), 1 - 2**-53, dtype=torch.float64)
    assert unknown_items(torch.tensor([[5]]), almost, num_items=6).item() == 4
