import pytest
import torch

from tests.stages import ring
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.store import Place
from unisid.layers.dense import FULL, SAMPLED, sample_size, softmax_loss, training_counts
from unisid.layers.history import Seen
from unisid.ops.dense_softmax import dense_softmax_loss

N = 300
SEEN = Seen(torch.tensor([[3, 7, 3, 0], [5, -1, -1, -1]]))
COUNTS = torch.arange(N).float()


def inputs():
    torch.manual_seed(0)
    added = torch.where(SEEN.real, torch.randn(2, 4), 0.0)
    return torch.randn(2, 6), 0.3 * torch.randn(N, 6), added, torch.tensor([7, 250])


@pytest.mark.parametrize(
    ("wanted", "items", "size"),
    [(0, 10, 10), (0, FULL, FULL), (0, FULL + 1, SAMPLED), (50, FULL + 1, 50), (50, 40, 40), (50, 1000, 50)],
)
def test_small_catalogues_take_all_items_and_large_ones_a_sample(wanted, items, size):
    assert sample_size(wanted, items) == size


def test_all_items_give_the_softmax_over_all_with_no_draw():
    queries, items, added, targets = inputs()
    state = torch.get_rng_state()
    found = softmax_loss(queries, lambda some: items[some], SEEN, added, targets, COUNTS, N)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(found, dense_softmax_loss(queries, items, SEEN.items, added, targets))


def test_samples_come_near_the_softmax_over_all_and_nearer_the_larger_they_are():
    queries, items, added, targets = inputs()
    full = float(softmax_loss(queries, lambda some: items[some], SEEN, added, targets, COUNTS, N))
    far = []
    for size in (20, 80, 240):
        losses = [
            float(softmax_loss(queries, lambda some: items[some], SEEN, added, targets, COUNTS, size))
            for _ in range(40)
        ]
        far.append(sum(abs(loss - full) for loss in losses) / 40)
    assert far == sorted(far, reverse=True)
    assert far[-1] < 0.1


def test_items_are_counted_in_training_alone(tmp_path):
    catalog = Catalog.read(ring.write_catalog(Place.of(tmp_path), [[0, 1, 0, 2, 3], [1, 4, 5]], 6))
    assert training_counts(catalog).tolist() == [2, 2, 0, 0, 0, 0]
