import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.references import infonce
from unisid.ops.contrast import info_nce, info_nce_both_ways, known


def _draw(seed: int, anchors: int, candidates: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(anchors, 5, generator=generator, dtype=torch.float32),
        torch.randn(candidates, 5, generator=generator),
        torch.randint(candidates, (anchors,), generator=generator),
        torch.rand(anchors, candidates, generator=generator) < 0.4,
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 9))
def test_equals_the_loop(seed: int, anchors: int, candidates: int) -> None:
    a, c, own, ignored = _draw(seed, anchors, candidates)
    expected = infonce.info_nce(a.tolist(), c.tolist(), own.tolist(), ignored.tolist(), 0.3)
    assert info_nce(a, c, own, ignored, 0.3).item() == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_an_ignored_candidate_has_no_gradient_and_the_own_one_always_counts() -> None:
    a, c, own, _ = _draw(0, 3, 6)
    own = torch.tensor([0, 1, 2])
    ignored = torch.zeros(3, 6, dtype=torch.bool)
    ignored[:, 4] = True
    ignored[0, 0] = True
    c.requires_grad_()
    info_nce(a, c, own, ignored, 0.1).backward()
    touched = c.grad.abs().sum(dim=1) > 0
    assert touched.tolist() == [True, True, True, True, False, True]


def test_all_negatives_ignored_leaves_nothing_to_learn() -> None:
    a, c, _, _ = _draw(1, 2, 4)
    loss = info_nce(a, c, torch.tensor([0, 1]), torch.ones(2, 4, dtype=torch.bool), 0.05)
    assert loss.item() == 0.0


def test_stays_in_float32_under_autocast() -> None:
    a, c, own, ignored = _draw(2, 4, 8)
    plain = info_nce(a, c, own, ignored, 0.05)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = info_nce(a, c, own, ignored, 0.05)
    assert inside.dtype == torch.float32
    assert inside.item() == plain.item()


def test_equal_candidates_cost_log_of_their_number() -> None:
    loss = info_nce(torch.ones(1, 3), torch.ones(7, 3), torch.tensor([2]), torch.zeros(1, 7, dtype=torch.bool), 0.05)
    assert loss.item() == pytest.approx(math.log(7), rel=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_known_equals_the_loop(data: st.DataObject) -> None:
    number = st.integers(0, 11)
    anchors = data.draw(st.lists(number, min_size=1, max_size=5))
    rows = [data.draw(st.lists(st.integers(-1, 11), min_size=3, max_size=3)) for _ in anchors]
    candidates = data.draw(st.lists(number, min_size=1, max_size=8))
    found = known(torch.tensor(anchors), torch.tensor(rows, dtype=torch.int32), torch.tensor(candidates))
    assert found.tolist() == infonce.known(anchors, rows, candidates)


def both_ways(ours, theirs, items, first=0, everyone=None):
    return float(info_nce_both_ways(ours, theirs, items, everyone or (lambda tensor: tensor), first, 0.2))


def test_both_ways_is_the_sum_of_both() -> None:
    ours, theirs, *_ = _draw(0, 4, 4)
    own, none = torch.arange(4), torch.zeros(4, 4, dtype=torch.bool)
    expected = info_nce(ours, theirs, own, none, 0.2) + info_nce(theirs, ours, own, none, 0.2)
    assert both_ways(ours, theirs, torch.tensor([5, 2, 9, 7])) == pytest.approx(float(expected))


def test_a_row_of_the_same_item_is_no_stranger_and_counts_once_among_those_of_others() -> None:
    """Items a, b, a: each row's loss is what it is beside one of the other item."""
    ours, theirs, *_ = _draw(1, 2, 2)
    own, none = torch.arange(2), torch.zeros(2, 2, dtype=torch.bool)
    sides = ((ours, theirs), (theirs, ours))
    each = [float(info_nce(a[[n]], b, own[[n]], none[[n]], 0.2)) for a, b in sides for n in (0, 1)]
    rows = [0, 1, 0]
    found = both_ways(ours[rows], theirs[rows], torch.tensor([5, 2, 5]))
    assert found == pytest.approx(sum(each[n] + each[2 + n] for n in rows) / 3)


def test_both_ways_the_mean_over_workers_is_the_whole_batch_s() -> None:
    ours, theirs, *_ = _draw(2, 6, 6)
    items = torch.tensor([1, 2, 3, 1, 4, 2])
    whole = both_ways(ours, theirs, items)
    found = []
    for first in (0, 3):
        rows = slice(first, first + 3)
        given = iter([items, theirs, ours])  # in the order in which they are gathered
        found.append(both_ways(ours[rows], theirs[rows], items[rows], first, lambda tensor, given=given: next(given)))
    assert sum(found) / 2 == pytest.approx(whole)
