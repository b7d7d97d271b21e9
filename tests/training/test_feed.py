import numpy as np
import pyarrow as pa
import pytest

from unisid.backbones import PAD
from unisid.errors import DataError
from unisid.training import feed
from unisid.training.feed import Feed


def tables(rows: int = 100, size: int = 30):
    """Passes over `rows` samples: sample i has target i and a history of 1 + i % 7 items, all i."""
    whole = pa.table({"history": [[i] * (1 + i % 7) for i in range(rows)], "target": list(range(rows))})
    return lambda: (whole.slice(start, size) for start in range(0, rows, size))


def drawn(first: int, count: int, seed: int = 0, **source):
    batches = Feed(tables(**source), 8, (seed, 0)).batches(first, count)
    return [(b.histories.tolist(), b.targets.tolist()) for b in batches]


def targets(batches) -> list[int]:
    return [row for _, rows in batches for row in rows]


def test_a_pass_holds_every_sample_once_but_for_a_partial_batch():
    seen = targets(drawn(0, 12))
    assert len(set(seen)) == len(seen) == 96
    two = targets(drawn(0, 25))
    assert all(two.count(i) == 2 for i in range(100))


def test_a_history_stays_with_its_target_and_is_padded_to_its_batch():
    for histories, rows in drawn(0, 30):
        lengths = []
        for history, row in zip(histories, rows, strict=True):
            real = [item for item in history if item != PAD]
            assert real == [row] * (1 + row % 7)
            assert history == real + [PAD] * (len(history) - len(real))
            lengths.append(len(real))
        assert max(lengths) == len(histories[0])


def test_batches_are_of_near_lengths():
    padding = [sum(row.count(PAD) for row in h) / (len(h) * len(h[0])) for h, _ in drawn(0, 12)]
    assert np.mean(padding) < 0.15


@pytest.mark.parametrize("first", [0, 1, 7, 12, 13, 40])
def test_any_batch_can_be_gone_to(first, monkeypatch):
    monkeypatch.setattr(feed, "BATCHES_PER_BLOCK", 3)
    assert drawn(first, 10) == drawn(0, 50)[first : first + 10]


def test_going_on_is_the_same_as_going_to():
    source = Feed(tables(), 8, (0, 0))
    pieces = [b.targets.tolist() for start in range(0, 40, 5) for b in source.batches(start, 5)]
    assert pieces == [rows for _, rows in drawn(0, 40)]


def test_passes_and_seeds_differ():
    assert targets(drawn(0, 12)) != targets(drawn(0, 12, seed=1))
    assert targets(drawn(0, 12)) != targets(drawn(12, 12))


def test_a_share_smaller_than_a_batch_is_read_again():
    seen = targets(drawn(0, 3, rows=5))
    assert sorted(set(seen)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("kept", "passes"), [(1000, 1), (50, 4)])
def test_only_a_small_share_is_kept(monkeypatch, kept, passes):
    monkeypatch.setattr(feed, "KEPT_ROWS", kept)
    source, begun = tables(), []

    def counted():
        begun.append(1)
        return source()

    seen = [b.targets.tolist() for b in Feed(counted, 8, (0, 0)).batches(0, 48)]
    assert len(begun) == passes
    assert seen == [rows for _, rows in drawn(0, 48)]


def test_a_worker_without_rows_says_so():
    empty = Feed(lambda: iter(()), 8, (0, 0))
    with pytest.raises(DataError, match="this worker's share has no rows; use fewer workers"):
        next(iter(empty.batches(0, 1)))
