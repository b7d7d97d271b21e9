"""The fused stage with a fusion that learns from what users took after what."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.lines import logged
from tests.stages import ring
from unisid.artifacts.catalog import TRAIN, Catalog
from unisid.artifacts.fused import Fused
from unisid.artifacts.shards import shard_name, write_array
from unisid.artifacts.store import Place
from unisid.errors import DataError
from unisid.fusion import PAD, unger
from unisid.runtime.local import LocalCompute
from unisid.stages import fused
from unisid.stages.fused.behaviour import NextItems, learned_items
from unisid.stages.fused.reading import Reader
from unisid.training.loop import Training

N, TEXT = 24, 6
UNSEEN = 24
CONFIG = fused.Config(
    fusion=unger.Config(width=8, num_heads=2, num_layers=1, feedforward_width=8, dropout=0.0),
    training=Training(epochs=4, learning_rate=1e-2, schedule="constant"),
    batch_size=16,
)


class Alone:
    """One worker of some."""

    device = torch.device("cpu")

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    def all_reduce(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Place]:
    """A ring of 24 items and one that no user took; alike texts for neighbours on the ring."""
    return make_inputs(Place.of(tmp_path_factory.mktemp("ring")))


def make_inputs(place: Place) -> dict[str, Place]:
    catalog = ring.write_catalog(place / "catalog", ring.walks(80, N), N + 1)
    angle = 2 * np.pi * np.arange(N + 1) / N
    texts = np.stack([f(k * angle) for k in (1, 2, 3) for f in (np.sin, np.cos)], 1).astype(np.float32)
    write_array(place / "embeddings", "states", {"pooled": texts}, 20)
    ring.record(place / "embeddings", "embeddings", {}, {"width": TEXT, "has_states": False})
    degree = np.append(np.ones(N, np.int32), 0).astype(np.int32)
    write_array(place / "graph", "items", {"layers": np.zeros((N + 1, 2, 3), np.float32), "degree": degree}, 20)
    ring.record(place / "graph", "graph", {}, {"layers": 2, "width": 3})
    return {"catalog": catalog, "embeddings": place / "embeddings", "graph": place / "graph"}


def make(inputs: dict[str, Place], out: Place, config: fused.Config = CONFIG, said: list | None = None) -> dict:
    counts = fused.make(ring.job(config, inputs, out, LocalCompute(), said))
    ring.record(out, "fused", {}, counts)
    return counts


def objective(inputs: dict[str, Place], worker: Alone | None = None, **settings: object) -> NextItems:
    catalog = Catalog.read(inputs["catalog"])
    torch.manual_seed(5)
    fusion = dataclasses.replace(CONFIG.fusion, **settings).build({"text": TEXT, "graph": 3})
    fusion.begin(learned_items(catalog), catalog.history_length)
    reader = Reader(inputs, states=False)
    return NextItems(fusion.eval(), worker or Alone(), reader, catalog, 16, 42)  # type: ignore[arg-type]


def test_items_have_vectors_of_length_one_and_the_unseen_one_is_counted(inputs, place: Place) -> None:
    with logged() as said:
        counts = make(inputs, place / "fused")
    made = Fused.read(place / "fused")
    vectors = made.vectors()
    assert vectors.shape == (N + 1, 8)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert counts["untrained"] == counts["text_only"] == 1
    assert "structure_neighbours" not in counts
    assert any("for next items (by chance" in line for line in said)


def test_learning_lowers_both_losses(inputs, place: Place) -> None:
    said: list = []
    longer = dataclasses.replace(CONFIG.training, epochs=12)
    counts = make(inputs, place / "fused", dataclasses.replace(CONFIG, training=longer), said)
    curve = [report for report in said if isinstance(report, dict) and "loss" in report]
    assert curve[-1]["next_loss"] < curve[0]["next_loss"]
    assert curve[-1]["alignment_loss"] < curve[0]["alignment_loss"]
    assert counts["valid"]["next"] < counts["valid"]["next_chance"]
    assert counts["valid"]["alignment"] < counts["valid"]["alignment_chance"]


def test_what_is_loaded_fuses_as_what_was_learned_and_takes_new_items(inputs, place: Place) -> None:
    make(inputs, place / "fused")
    fusion, reader = fused.load(place / "fused"), Reader(inputs, states=False)
    rows = np.array([7, UNSEEN, 3])
    items, where = reader.read(rows).view(np.arange(3), np.zeros(3, np.int64))
    with torch.no_grad():
        assert np.allclose(fusion(items).numpy()[where], Fused.read(place / "fused").vectors(rows), atol=1e-6)
        later = dataclasses.replace(items, numbers=items.numbers + 1000)
        assert torch.allclose(fusion(later), fusion.adapted(items), atol=1e-6)


def test_only_items_of_training_sequences_are_learned(inputs) -> None:
    catalog = Catalog.read(inputs["catalog"])
    long = {user for user in range(catalog.num_users) if ((catalog.user == user) & (catalog.split == TRAIN)).sum() > 1}
    rows = (catalog.split == TRAIN) & np.isin(catalog.user, list(long))
    assert learned_items(catalog).nonzero()[:, 0].tolist() == sorted(set(catalog.item[rows].tolist()))


def test_a_step_holds_its_targets_once_with_their_counts(inputs) -> None:
    for batch in objective(inputs).batches(0):
        asked = batch.targets[batch.targets != PAD]
        assert batch.items.numbers is not None
        for item, count in zip(batch.items.numbers.tolist(), batch.counts.tolist(), strict=True):
            assert int((asked == item).sum()) == count
        assert batch.counts.sum() == len(asked) == batch.num_targets
        texts = objective(inputs).reader.pooled()[batch.items.numbers.numpy()]
        assert np.array_equal(batch.items["text"].mean().numpy(), texts)


@pytest.mark.parametrize("sequence", ["transformer", "din"])
def test_the_shares_of_two_workers_make_the_loss_and_gradient_of_one(inputs, sequence: str) -> None:
    whole = objective(inputs, sequence=sequence)
    shares = [objective(inputs, Alone(rank, 2), sequence=sequence) for rank in range(2)]
    batch, parts = next(iter(whole.batches(1))), [next(iter(share.batches(1))) for share in shares]
    assert sum(part.num_targets for part in parts) == batch.num_targets
    weights = list(whole.fusion.parameters())
    loss = whole.loss(batch)[0]
    both = sum(whole.loss(part)[0] for part in parts)
    assert loss.item() == pytest.approx(torch.as_tensor(both).item(), rel=1e-5)
    pairs = zip(torch.autograd.grad(loss, weights), torch.autograd.grad(both, weights), strict=True)
    assert all(torch.allclose(one, other, atol=1e-3) for one, other in pairs)


def test_validation_is_of_samples_that_training_never_saw(inputs) -> None:
    ours = objective(inputs)
    assert {ours.catalog.split[row] for row in ours.valid} == {1}
    batch = ours._sample(ours.valid[:5], 0)
    assert batch.targets[batch.targets != PAD].tolist() == ours.catalog.item[ours.valid[:5]].tolist()
    with torch.no_grad():
        assert ours.validate() == ours.validate()
        halves = [objective(inputs, Alone(rank, 2)).validate() for rank in range(2)]
        for name, value in ours.validate().items():
            assert sum(half[name] for half in halves) == pytest.approx(value, rel=1e-5)


def test_the_same_seed_makes_the_same_vectors_and_a_learned_fusion_is_kept(inputs, place: Place) -> None:
    for name in ("a", "b"):
        make(inputs, place / name)
    first = Fused.read(place / "a").vectors()
    assert (first == Fused.read(place / "b").vectors()).all()
    (place / "a").remove(shard_name("vectors", 0))
    with logged() as said:
        make(inputs, place / "a")
    assert "the fusion is there already" in said
    assert (Fused.read(place / "a").vectors() == first).all()


def test_a_catalog_without_validation_samples_is_refused(place: Place) -> None:
    made = make_inputs(place)
    users = ring.walks(10, N)
    labels = [[TRAIN] * len(items) for items in users]
    catalog = ring.write_catalog(place / "other", users, N + 1, labels)
    with pytest.raises(DataError, match="fused: .* has no validation samples, which say when a fusion of sequences"):
        make(made | {"catalog": catalog}, place / "fused")
