import dataclasses

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unisid.ops.ragged import Ragged, pack


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.integers(1, 6), st.integers(0, 10**6))
def test_nothing_is_lost_and_padding_is_zero(lengths: list[int], buckets: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    counts = torch.tensor(lengths)
    values = torch.randn(int(counts.sum()), 3, generator=generator)
    starts = counts.cumsum(0) - counts
    absent = torch.rand(len(lengths), generator=generator) < 0.2
    ragged, order = pack(values, torch.where(absent, -1, starts), counts, buckets)
    assert len(ragged.shapes) <= buckets
    place = 0
    for bucket, mask in zip(ragged.split(ragged.values), ragged.masks, strict=True):
        real = torch.ones(bucket.shape[:2], dtype=torch.bool) if mask is None else mask
        for rows, shown in zip(bucket, real, strict=True):
            item = int(order[place])
            expected = torch.zeros(1, 3) if absent[item] else values[starts[item] : starts[item] + counts[item]]
            assert torch.equal(rows[shown], expected)
            assert not rows[~shown].any()
            assert torch.allclose(ragged.mean()[place], expected.mean(dim=0), atol=1e-6)
            place += 1
    assert sorted(order.tolist()) == list(range(len(lengths)))


def test_rows_may_be_shared() -> None:
    ragged, order = pack(torch.arange(4.0)[:, None], torch.tensor([0, 0, 2]), torch.tensor([2, 2, 2]))
    assert order.tolist() == [0, 1, 2]
    assert ragged.values.flatten().tolist() == [0, 1, 0, 1, 2, 3]


def test_a_rectangle_is_one_bucket_without_padding() -> None:
    values = torch.arange(24.0).view(4, 3, 2)
    ragged = Ragged.rectangle(values)
    (bucket,) = ragged.split(ragged.values)
    assert torch.equal(bucket, values)
    assert ragged.masks == (None,)
    assert len(ragged) == 4
    assert torch.equal(ragged.mean(), values.mean(1))


def test_matrices_that_lie_in_another_order_are_read_in_the_items_order() -> None:
    counts = torch.tensor([3, 1, 2, 1])
    values = torch.arange(7.0)[:, None]
    packed, order = pack(values, counts.cumsum(0) - counts, counts, 3)
    ragged = dataclasses.replace(packed, order=order)
    assert ragged.mean().flatten().tolist() == [1.0, 3.0, 4.5, 6.0]
    own = torch.arange(4)
    laid = torch.cat(ragged.in_buckets(own))
    assert laid.tolist() == order.tolist() == [1, 3, 2, 0]
    assert ragged.of_items(laid).tolist() == own.tolist()
    assert ragged.to(torch.device("cpu")).order is not None
