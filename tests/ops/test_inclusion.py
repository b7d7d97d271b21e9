import pytest
import torch

from unisid.ops.inclusion import drawn, shares

WEIGHTS = torch.tensor([5.0, 0.1, 1.0, 30.0, 2.0, 0.5, 7.0, 1.0])


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_shares_are_by_weight_at_most_one_and_add_up_to_the_size(size):
    found = shares(WEIGHTS, size)
    assert abs(float(found.sum()) - size) < 1e-9
    assert found.max() <= 1
    ratio = (found / WEIGHTS)[found < 1]
    assert torch.allclose(ratio, ratio[:1])
    assert (found[WEIGHTS.argsort()].diff() >= 0).all()


def test_as_many_as_there_are_is_all_of_them():
    assert drawn(shares(WEIGHTS, 8), torch.tensor(0.7)).tolist() == list(range(8))
    assert shares(WEIGHTS, 100).tolist() == [1.0] * 8


@pytest.mark.parametrize("size", [1, 3, 5])
def test_every_item_is_in_as_many_samples_as_its_share_says_and_all_are_of_one_size(size):
    share, steps = shares(WEIGHTS, size), 4000
    counts = torch.zeros(8)
    for step in range(steps):
        sample = drawn(share, torch.tensor((step + 0.5) / steps, dtype=torch.float64))
        assert len(sample) == size
        counts[sample] += 1
    assert torch.allclose(counts / steps, share.float(), atol=2 / steps)


def test_the_largest_catalogues_lose_no_place_to_rounding():
    share = shares(torch.rand(1_000_000, generator=torch.Generator().manual_seed(0)), 8192)
    for start in (0.0, 0.5, 1 - 1e-12):
        sample = drawn(share, torch.tensor(start, dtype=torch.float64))
        assert len(sample) == 8192
        assert sample.max() < 1_000_000
