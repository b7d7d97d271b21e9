"""An experiment from end to end at tiny size: what is made, shown, gone on with, and said when a cell fails."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.lines import logged
from tests.search.quick_search import made, quick
from unisid.artifacts.metrics import Metrics
from unisid.artifacts.store import Address, Place, Store
from unisid.baselines import itemknn, popularity
from unisid.errors import DataError
from unisid.experiments.definition import Experiment, Method
from unisid.experiments.run import run
from unisid.fusion import single
from unisid.runtime.local import LocalCompute
from unisid.runtime.ray_tune import RayTune
from unisid.runtime.trials import InTurn, Runner
from unisid.stages import baseline
from unisid.trials.telling import NullExperimentTracker

pytestmark = pytest.mark.slow


def small() -> Experiment:
    base = quick()
    tiger = replace(base, metrics=replace(base.metrics, method="tiger", baselines=()))
    graph = replace(tiger, fused=replace(base.fused, fusion=single.Config(modality="graph")))
    knn = replace(base, baseline=baseline.Config(baseline=itemknn.Config()))
    popular = replace(base, baseline=baseline.Config(baseline=popularity.Config()))
    methods = (
        Method("popularity", popular),
        Method("itemknn", knn),
        Method("graph", graph, at=0.0),
        Method("joined", tiger, at=1.0),
    )
    return Experiment(name="small", question="Which?", methods=methods, ours="joined", axis="text")


def launch(experiment: Experiment, place: Place, seeds=(1, 2), runner: Runner | None = None) -> tuple[Place, list[str]]:
    store, worker, tracker = Store(place), runner or InTurn(), NullExperimentTracker()
    with logged() as said:
        return run(experiment, quick(), seeds, store, LocalCompute(), worker, tracker, said.append), said


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = Place.of(tmp_path_factory.mktemp("experiment"))
    folder, said = launch(small(), root)
    return root, folder, said


def test_every_cell_is_in_the_table(finished):
    _, folder, said = finished
    results = json.loads(folder.read("results.json"))
    assert results["seeds"] == [1, 2]
    assert list(results["history"]) == ["excluded", "allowed"]
    excluded = results["history"]["excluded"]
    assert list(excluded["figures"]) == ["popularity", "itemknn", "graph", "joined"]
    assert set(excluded["comparisons"]) == {"popularity", "itemknn", "graph"}
    text = folder.read("table.txt").decode()
    assert "joined minus the other, NDCG@10, paired by test sample" in text
    assert text in "\n".join(said) + "\n"
    rows = list(csv.DictReader(folder.read("cells.csv").decode().splitlines()))
    assert len(rows) == 2 * 4 * 2 * len(results["cutoffs"]) * 3
    assert {"forest.png", "line.png", "curves.png", "labels.png", "shared-users.png", "table.md"} <= set(folder.sizes())


def test_a_figure_is_that_of_the_cells_own_metrics(finished):
    root, folder, _ = finished
    found = json.loads(folder.read("results.json"))["history"]["allowed"]["figures"]["joined"]["HR@10"]
    store = Store(root)
    own = [
        Metrics.read(store.place(Address("metrics", f"quick-joined-{seed}", "1"))).results()["tiger"]["allowed"]
        for seed in (1, 2)
    ]
    assert found["by_seed"] == pytest.approx([each["HR@10"]["mean"] for each in own])
    assert found["mean"] == pytest.approx(np.mean(found["by_seed"]))


def test_indexes_are_judged_and_so_is_what_they_predict(finished):
    _, folder, _ = finished
    results = json.loads(folder.read("results.json"))
    assert set(results["indexes"]) == {f"quick-{name}-{seed}" for name in ("graph", "joined") for seed in (1, 2)}
    assert results["foretold"]["graph neighbours"]["indexes"] == 4
    graph, joined = results["indexes"]["quick-graph-1"], results["indexes"]["quick-joined-1"]
    assert joined["text neighbours"] > graph["text neighbours"]


def test_what_is_shared_is_made_once(finished):
    root, _, said = finished
    assert any("shared by all trials: embeddings" in line for line in said)
    assert [a for a in made(root) if a.startswith("embeddings/")] == ["embeddings/quick/1"]
    assert sum(a.startswith("graph/") for a in made(root)) == 2


def test_a_second_run_makes_nothing_and_says_the_same(finished):
    root, folder, _ = finished
    before, table = made(root), folder.read("table.txt")
    _, said = launch(small(), root)
    assert made(root) == before
    assert folder.read("table.txt") == table
    assert "8 of 8 cells are there" in said[0]


def test_on_ray_tune_a_cell_comes_to_the_same(ray_compute, finished, tmp_path):
    _, here, _ = finished
    baselines = small().only(["popularity", "itemknn"])
    folder, said = launch(baselines, Place.of(tmp_path), (1,), RayTune(concurrent=2))
    assert sum(line.endswith("seed 1: begun") for line in said) == 2
    for rule in ("excluded", "allowed"):
        there, whole = (json.loads(each.read("results.json"))["history"][rule]["figures"] for each in (folder, here))
        for name in ("popularity", "itemknn"):
            first = {metric: figure["by_seed"][0] for metric, figure in whole[name].items()}
            assert {metric: figure["by_seed"][0] for metric, figure in there[name].items()} == first


def test_a_failed_cell_leaves_the_others_their_table(tmp_path):
    """A gate that no index passes fails one method; the baselines are shown, and the error names it."""
    experiment = small()
    gate = replace(quick().codes.gate, distinct=1.0)
    failing = experiment.methods[3].recipe
    failing = replace(failing, codes=replace(failing.codes, gate=gate))
    experiment = replace(experiment, methods=(experiment.methods[0], Method("joined", failing)), axis="")
    with pytest.raises(DataError) as error:
        launch(experiment, Place.of(tmp_path), seeds=(1,))
    assert "1 of 2 cells failed" in str(error.value)
    assert "joined, seed 1: " in str(error.value)
    assert "below its quality gate" in str(error.value)
    text = Path(tmp_path, "experiments", "quick-small", "table.txt").read_text()
    assert "popularity" in text
    assert "joined" not in text.splitlines()[3]


def test_an_index_alone_trains_no_recommender(tmp_path):
    methods = tuple(replace(method, index_alone=True) for method in small().methods[2:])
    experiment = Experiment(name="seen", question="What?", methods=methods, ours="joined")
    folder, _ = launch(experiment, Place.of(tmp_path), seeds=(1,))
    assert not any(a.startswith(("model/", "sequences/")) for a in made(Place.of(tmp_path)))
    results = json.loads(folder.read("results.json"))
    assert results["history"] == {}
    assert set(results["indexes"]) == {"quick-graph-1", "quick-joined-1"}
    graph = results["indexes"]["quick-graph-1"]
    assert graph["graph near"] == 1.0  # its vectors are the graph's
    assert graph["structure learned"] is None  # it learned nothing
    assert "indexes.png" in folder.sizes()
