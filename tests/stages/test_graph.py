import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.baselines.catalogs import random_baskets, write_catalog
from tests.figures import of_epochs
from tests.lines import logged
from tests.references.propagate import dense_adjacency
from unisid.artifacts.catalog import TEST, VALID, Catalog, write_interactions
from unisid.artifacts.graph import USERS, Graph
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.shards import Shards
from unisid.compute import Job, Pool, Task, Worker
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.graphs import lightgcn
from unisid.runtime.checkpoints import Position
from unisid.runtime.local import LocalCompute, Member
from unisid.stages import graph as stage
from unisid.stages.graph.edges import Edges
from unisid.stages.graph.validation import validate
from unisid.training import within

SMALL = stage.Config(
    graph=lightgcn.Config(num_layers=2, width=6), epochs=6, validate_every=2, batch_edges=100, learning_rate=0.05
)
NUM_ITEMS = 81  # the last has no interactions


class MachineLostError(Exception):
    """Stands for the machine that dies."""


@pytest.fixture
def catalog(place) -> Catalog:
    return write_catalog(place / "catalog", random_baskets(60, NUM_ITEMS - 1, seed=0), NUM_ITEMS)


def job_for(catalog, out, config=SMALL, report=lambda metrics: None):
    inputs = {"catalog": catalog.place}
    return Job(config=config, inputs=inputs, out=out, name="graph/small/1-0", compute=LocalCompute(), report=report)


def make(catalog, out, config=SMALL, report=lambda metrics: None) -> tuple[Graph, dict]:
    counts = stage.make(job_for(catalog, out, config, report))
    write_record(out, Record(address="graph/small/1", config={}, inputs={}, counts=counts))
    return Graph.read(out), counts


def edges_of(catalog, config=SMALL) -> Edges:
    return Edges.read(catalog.place, config, torch.device("cpu"))


def test_the_artifact_holds_layers_degrees_and_users(catalog, place):
    made, counts = make(catalog, place / "graph")
    user, item = catalog.training_edges()
    layers = made.layers()
    assert layers.shape == (NUM_ITEMS, 3, 6)
    assert layers.dtype == np.float32
    np.testing.assert_array_equal(made.degree(), np.bincount(item, minlength=NUM_ITEMS))
    assert user_vectors(made).shape == (60, 6)
    edges = {"users": 60, "items": NUM_ITEMS, "nodes": 60 + NUM_ITEMS, "edges": len(user)}
    assert edges.items() <= counts.items()
    assert counts["isolated_items"] == (made.degree() == 0).sum() >= 1
    assert not layers[made.degree() == 0].any()
    assert (layers[made.degree() > 0] != 0).any(axis=(1, 2)).all()
    assert "leaky" not in counts


def user_vectors(made):
    return Shards(made.place, USERS).read("vector")


def test_layers_follow_from_the_first_by_propagation(catalog, place):
    made, _ = make(catalog, place / "graph")
    matrix = dense_adjacency(*catalog.training_edges(), 60, NUM_ITEMS)
    layers, vectors = made.layers().astype(np.float64), user_vectors(made).astype(np.float64)
    # e_items(2) = R^T R e_items(0): two steps lead from items to items and back.
    block = matrix[60:, :60] @ matrix[:60, 60:]
    np.testing.assert_allclose(block @ layers[:, 0], layers[:, 2], atol=1e-6)
    # 3 u = e_u(0) + e_u(1) + e_u(2), and R^T of it holds items' first layers: R^T 3u = e_i(1) + e_i(2) + R^T e_u(2).
    third = matrix[60:, :60] @ (matrix[:60, 60:] @ layers[:, 1])
    np.testing.assert_allclose(matrix[60:, :60] @ (3 * vectors), layers[:, 1] + layers[:, 2] + third, atol=1e-6)


def test_it_learns_what_users_have_in_common(catalog, place):
    shown = []
    config = dataclasses.replace(SMALL, epochs=60)
    _, counts = make(catalog, place / "graph", config, shown.append)
    assert counts["best_recall"] > 0.45  # 20 of 35 new items of the user's half: .57; 20 of all 75: .27
    epochs = of_epochs(shown)
    assert epochs[-1]["loss"] < epochs[0]["loss"]
    assert counts["best_recall"] == max(s["valid_recall_20"] for s in epochs)


def test_the_kept_vectors_are_those_of_the_best_validation(catalog, place):
    """Not those of the last epoch: so large a rate spoils them later."""
    shown = []
    config = dataclasses.replace(SMALL, epochs=30, patience=30, learning_rate=0.3)
    made, counts = make(catalog, place / "graph", config, shown.append)
    assert shown[-1]["valid_recall_20"] < counts["best_recall"]
    users, items = user_vectors(made), made.layers().mean(1)
    known = {user: set() for user in range(60)}
    for user, item in zip(*(ends.tolist() for ends in catalog.training_edges()), strict=True):
        known[user].add(item)
    edges = edges_of(catalog, config)
    hits = []
    for user, target in zip(edges.valid_user.tolist(), edges.valid_item.tolist(), strict=True):
        scores = items @ users[user]
        hits.append(sum(s > scores[target] for i, s in enumerate(scores) if i not in known[user]) < 20)
    assert np.mean(hits) == pytest.approx(counts["best_recall"], abs=0.02)  # near ties may fall either way
    assert abs(np.mean(hits) - shown[-1]["valid_recall_20"]) > 0.03


def test_between_validations_it_says_how_far_it_is_and_changes_nothing(catalog, place, monkeypatch):
    told = []
    quiet, counts = make(catalog, place / "quiet")
    monkeypatch.setattr(stage, "PROGRESS_SECONDS", -1.0)
    made, again = make(catalog, place / "told", report=told.append)
    assert again == counts
    np.testing.assert_array_equal(made.layers(), quiet.layers())
    running = [values["step"] for values in told if "running_loss" in values]
    assert running == list(range(1, told[-1]["step"] + 1))
    assert len(running) > len(of_epochs(told)) == 3


def test_recall_counts_targets_among_the_twenty_best_new_items(catalog):
    edges = edges_of(catalog)
    model = SMALL.graph.build(edges.graph, range(6), 1)
    with torch.no_grad():
        vectors = model()
    known = set(zip(*(ends.tolist() for ends in catalog.training_edges()), strict=True))
    hits = []
    for user, target in zip(edges.valid_user.tolist(), edges.valid_item.tolist(), strict=True):
        scores = {i: float(vectors[user] @ vectors[60 + i]) for i in range(NUM_ITEMS) if (user, i) not in known}
        hits.append(target in sorted(scores, key=scores.__getitem__, reverse=True)[:20])
    assert len(hits) > 50
    assert validate(Alone(), model, edges, 6) == pytest.approx(np.mean(hits))


def test_validation_users_are_a_sample(catalog):
    edges = edges_of(catalog, dataclasses.replace(SMALL, validation_users=7))
    assert len(edges.valid_user.unique()) == 7


class Alone:
    """The least a worker may be."""

    rank, size, device = 0, 1, torch.device("cpu")

    def all_reduce(self, tensor):
        return tensor


class Counting:
    """A worker that notes what passes through its collectives."""

    def __init__(self, worker: Worker) -> None:
        self.worker, self.summed, self.gathered = worker, [], []

    def all_reduce(self, tensor):
        self.summed.append(tuple(tensor.shape))
        return self.worker.all_reduce(tensor)

    def all_gather(self, tensor):
        self.gathered.append(tuple(tensor.shape))
        return self.worker.all_gather(tensor)

    def __getattr__(self, name):
        return getattr(self.worker, name)


def learn_counting(worker: Worker, task: Task[stage.Config]) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    edges = Edges.read(task.inputs["catalog"], task.config, worker.device)
    mine = stage.columns.owned(task.config.graph.width, worker.rank, worker.size)
    counting = Counting(worker)
    stage.learn(counting, task.config, task.config.graph.build(edges.graph, mine, 1), edges)
    return counting.summed, counting.gathered


@pytest.mark.slow
def test_a_step_exchanges_its_dot_products_and_no_gradient(catalog, place):
    task = Task(dataclasses.replace(SMALL, epochs=1), {"catalog": catalog.place}, place)
    summed, gathered = LocalCompute().fit(learn_counting, task, name="count", pool=Pool(workers=2), work=place / "work")
    edges = edges_of(catalog)
    steps = [len(users) for users, *_ in edges.batches(task.config, 0)]
    assert len(steps) > 1
    assert sum(steps) == len(edges.user)
    assert summed == [(2, batch) for batch in steps] + [(1,)]
    assert gathered == [(1, len(edges.valid_user), 3), (1, NUM_ITEMS, 3)]  # to validate: three columns of each row


def compare(first: Graph, second: Graph) -> None:
    np.testing.assert_allclose(first.layers(), second.layers(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(user_vectors(first), user_vectors(second), rtol=1e-4, atol=1e-6)


def test_two_workers_compute_what_one_computes(catalog, place):
    one, alone = make(catalog, place / "one")
    two, together = make(catalog, place / "two", dataclasses.replace(SMALL, pool=Pool(workers=2)))
    compare(one, two)
    assert alone == together


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "width"), [(4, 6), (8, 9)])
def test_many_workers_share_columns_unevenly(catalog, place, workers, width):
    config = dataclasses.replace(SMALL, graph=dataclasses.replace(SMALL.graph, width=width))
    one, alone = make(catalog, place / "one", config)
    many, together = make(catalog, place / "many", dataclasses.replace(config, pool=Pool(workers=workers)))
    compare(one, many)
    assert alone == together


def interrupt_at(epoch):
    def report(metrics):
        if metrics["epoch"] == epoch:
            raise MachineLostError

    return report


def test_a_killed_fit_goes_on_where_it_was(catalog, place):
    config = dataclasses.replace(SMALL, checkpoint_seconds=0.0)
    undisturbed, counts = make(catalog, place / "undisturbed", config)
    with pytest.raises(MachineLostError):
        make(catalog, place / "killed", config, interrupt_at(4))
    epochs = []
    resumed, again = make(catalog, place / "killed", config, lambda metrics: epochs.append(metrics["epoch"]))
    assert epochs == [6]
    assert again == counts
    np.testing.assert_array_equal(resumed.layers(), undisturbed.layers())


def test_a_notice_between_two_validations_is_answered_at_once(catalog, place, monkeypatch):
    config = dataclasses.replace(SMALL, checkpoint_seconds=1e9, validate_every=4, epochs=6)
    undisturbed, counts = make(catalog, place / "undisturbed", config)
    looks = []
    monkeypatch.setattr(within, "NOTICE_SECONDS", 0.0)
    monkeypatch.setattr(within, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(Member, "is_preempted", lambda member: bool(looks.append(True)) or len(looks) >= 3)
    with pytest.raises(MachineLostError):
        make(catalog, place / "killed", config, interrupt_at(4))
    [kept] = Path((place / "killed" / ".work").uri).rglob("checkpoint-*")
    assert Position.of(kept.name) == Position(0, 3)
    trained = []
    monkeypatch.setattr(
        stage, "train_epoch", lambda *args, kept=stage.train_epoch: trained.append(args[5]["epoch"]) or kept(*args)
    )
    resumed, again = make(catalog, place / "killed", config)
    assert trained == [3, 4, 5]
    assert again == counts
    np.testing.assert_array_equal(resumed.layers(), undisturbed.layers())


@pytest.mark.slow
def test_a_fit_killed_on_two_workers_goes_on_with_one(catalog, place):
    config = dataclasses.replace(SMALL, checkpoint_seconds=0.0, pool=Pool(workers=2))
    undisturbed, counts = make(catalog, place / "undisturbed", config)
    with pytest.raises(MachineLostError):
        make(catalog, place / "killed", config, interrupt_at(4))
    epochs = []
    alone = dataclasses.replace(config, pool=Pool())
    resumed, again = make(catalog, place / "killed", alone, lambda metrics: epochs.append(metrics["epoch"]))
    assert set(epochs) <= {4, 6}  # the workers may have gone on a little after the report
    compare(undisturbed, resumed)
    assert again == counts


def test_a_damaged_checkpoint_is_refused(catalog, place):
    config = dataclasses.replace(SMALL, checkpoint_seconds=0.0)
    with pytest.raises(MachineLostError):
        make(catalog, place / "graph", config, interrupt_at(4))
    (file,) = Path(place.uri).glob("graph/.work/**/vectors.npy")
    file.write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match="not a whole checkpoint"):
        make(catalog, place / "graph", config)
    shutil.rmtree(file.parent)
    make(catalog, place / "graph", config)


def test_an_isolated_user_and_one_who_took_everything_do_no_harm(place):
    baskets = [[*range(8), 0, 1], [0, 1, 2, 3], [4, 5, 6, 7], [2, 3]]
    catalog = write_catalog(place / "catalog", baskets, 8)
    made, counts = make(catalog, place / "graph")
    assert counts["edges_without_negative"] == 8
    assert counts["isolated_users"] == 1
    assert not user_vectors(made)[3].any()
    assert np.isfinite(made.layers()).all()
    assert counts["validation_targets"] == 2  # users 1 and 2; 0 has the target in its history, 3 has no vector


def test_without_validation_targets_the_last_epoch_counts(place):
    write_catalog(place / "catalog", random_baskets(20, 30, seed=1), 30)
    old = Catalog.read(place / "catalog")
    split = np.where(old.split == VALID, TEST, old.split)
    write_interactions(old.place, old.user, old.item, old.timestamp, split)
    _, counts = make(Catalog.read(old.place), place / "graph")
    assert counts["validation_targets"] == 0
    assert counts["epochs"] == counts["best_epoch"] == 6


def test_it_stops_when_recall_no_longer_improves(catalog, place):
    config = dataclasses.replace(SMALL, epochs=500, patience=2, learning_rate=1e-9, validate_every=1)
    _, counts = make(catalog, place / "graph", config)
    assert counts["best_epoch"] <= 3
    assert counts["epochs"] == counts["best_epoch"] + 2


def test_the_leak_is_a_switch_and_leaves_a_mark(catalog, place):
    config = dataclasses.replace(SMALL, use_all_interactions=True)
    with logged() as said:
        counts = stage.make(job_for(catalog, place / "graph", config))
    pairs = {(u, i) for u, i in zip(catalog.user.tolist(), catalog.item.tolist(), strict=True)}
    assert counts["leaky"] is True
    assert counts["edges"] == len(pairs) > len(catalog.training_edges()[0])
    assert any("LEAK" in line for line in said)


def test_negatives_are_never_known(catalog):
    edges = edges_of(catalog)
    known = set(zip(edges.user.tolist(), edges.item.tolist(), strict=True))
    for users, items, unknown, _ in edges.batches(SMALL, 3):
        assert set(zip(users.tolist(), items.tolist(), strict=True)) <= known
        assert not set(zip(users.tolist(), unknown.tolist(), strict=True)) & known


def test_a_pass_shows_every_edge_once_in_an_order_of_its_epoch(catalog):
    edges = edges_of(catalog)

    def seen(epoch):
        return [
            p
            for users, items, _, _ in edges.batches(SMALL, epoch)
            for p in zip(users.tolist(), items.tolist(), strict=True)
        ]

    assert sorted(seen(0)) == list(zip(edges.user.tolist(), edges.item.tolist(), strict=True))
    assert seen(0) == seen(0) != seen(1)


def test_a_catalog_without_training_interactions_is_refused(place):
    catalog = write_catalog(place / "catalog", [[0, 1], [1, 2]], 3)
    with pytest.raises(DataError, match="no training interactions among 2 users and 3 items"):
        make(catalog, place / "graph")


def test_users_who_all_know_everything_are_refused(place):
    catalog = write_catalog(place / "catalog", [[0, 1, 2, 0, 1]] * 2, 3)
    with pytest.raises(DataError, match="all 3 items"):
        make(catalog, place / "graph")


def test_a_loss_that_is_no_number_is_refused(catalog, place):
    with pytest.raises(DataError, match="lower graph.learning_rate"):
        make(catalog, place / "graph", dataclasses.replace(SMALL, learning_rate=1e30))


def test_more_workers_than_columns_are_refused():
    with pytest.raises(ConfigError, match="3 workers share 2 columns"):
        stage.Config(graph=lightgcn.Config(width=2), pool=Pool(workers=3))


@pytest.mark.parametrize(
    "name", ["batch_edges", "epochs", "validate_every", "patience", "validation_users", "learning_rate"]
)
def test_settings_must_be_positive(name):
    with pytest.raises(ConfigError, match=rf"graph.{name}: is 0; must be (above 0|at least 1)"):
        stage.Config(**{name: 0})
