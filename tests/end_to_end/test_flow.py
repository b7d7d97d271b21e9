"""The whole flow as a person runs it: command line, real Ray, real MLflow; then every question one can ask of it."""

import dataclasses
import json
import math
import os
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from tests import forked
from tests.end_to_end.recipes import tiny
from tests.runtime.stores import mlflow_at
from unisid import pipeline
from unisid.artifacts.codes import Codes
from unisid.artifacts.metrics import Metrics
from unisid.artifacts.record import require
from unisid.artifacts.store import NOUNS as KNOWN
from unisid.artifacts.store import Address, Place, Store
from unisid.cli import main
from unisid.errors import ArtifactError
from unisid.runtime.local import LocalCompute
from unisid.serving.recommender import Recommender

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
NOUNS = [noun for noun in KNOWN if getattr(tiny(), noun) is not None]
RECIPE = "tests/end_to_end/recipes.py:tiny"


def unisid(*words, store, **env):
    """Run the command line as a person does, in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"} | env
    return forked.run(*words, "--store", str(store), env=environment, timeout=900)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The tiny recipe, run once on Ray."""
    store = tmp_path_factory.mktemp("store")
    result = unisid("run", RECIPE, store=store)
    assert result.returncode == 0, result.stdout + result.stderr
    return store, result.stdout


def place_of(store, noun):
    return Store(Place.of(store)).place(Address(noun, "tiny", "1"))


def test_every_artifact_is_complete_and_the_results_are_printed(ran):
    store, out = ran
    for noun in NOUNS:
        require(place_of(store, noun), noun)
    for word in (
        "HR@5",
        "NDCG@20",
        "uqf-tiger",
        "popularity",
        "itemknn",
        "history excluded",
        "history allowed",
        "entropy",
        "report",
        "MLflow",
    ):
        assert word in out, word
    assert (store / "reports" / "tiny" / "1" / "report.html").exists()


def test_a_second_run_makes_nothing(ran):
    store, out = ran
    before = {p: p.stat().st_mtime_ns for p in store.rglob("record.json")}
    again = unisid("run", RECIPE, store=store)
    assert again.returncode == 0, again.stderr
    assert "[1/" not in again.stdout
    assert {p: p.stat().st_mtime_ns for p in store.rglob("record.json")} == before
    assert out.partition("ranking,")[2].partition("\nartifacts")[0] in again.stdout


def test_ray_and_local_compute_make_the_same_bytes(ran, tmp_path):
    """With one worker, whichever the machines: every file of every artifact."""
    store, _ = ran
    local = Store(Place.of(tmp_path))
    places = pipeline.run(tiny(), local, LocalCompute(), pipeline.NullTracker())
    for noun in NOUNS:
        theirs, ours = place_of(store, noun), places[noun]
        names = [n for n in ours.sizes() if n not in ("record.json", "curve.parquet")]
        assert names == [n for n in theirs.sizes() if n not in ("record.json", "curve.parquet")]
        for name in names:
            assert ours.read(name) == theirs.read(name), f"{noun}/{name}"


def test_mlflow_holds_a_parent_run_with_a_child_a_stage(ran):
    store, _ = ran
    client = MlflowClient(tracking_uri=f"sqlite:///{store}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("unisid").experiment_id])
    parent = next(run for run in runs if run.info.run_name == "tiny")
    children = {r.info.run_name: r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id}
    assert set(children) == set(NOUNS)
    assert all(run.info.status == "FINISHED" for run in runs)
    assert parent.data.params["codes.tokenizer.codebook_size"] == "8"
    assert len(client.get_metric_history(children["model"].info.run_id, "loss")) == 2
    figures = children["metrics"].data.metrics
    for rule in ("excluded", "allowed"):
        assert {f"means.{m}.{rule}.MRR_at_10" for m in ("uqf-tiger", "popularity", "itemknn")} <= set(figures)
        overall = figures[f"groups.{rule}.all.MRR_at_10"]
        assert overall == pytest.approx(figures[f"means.uqf-tiger.{rule}.MRR_at_10"])  # summed in another order
        for kind in ("popularity", "itemknn"):
            assert figures[f"baseline_groups.{kind}.{rule}.all.samples"] == figures["samples"]
            assert any(n.startswith(f"baseline_groups.{kind}.{rule}.history of ") for n in figures)
    for name in ("coverage", "gini", "novelty", "likeness"):
        lists = ("lists", "baseline_lists.popularity", "baseline_lists.itemknn")
        assert all(math.isfinite(figures[f"{of}.{name}"]) for of in lists)
    attached = [f.path for f in client.list_artifacts(parent.info.run_id, "report")]
    assert any(path.endswith("report.html") for path in attached)
    assert any(path.endswith(".png") for path in attached)


@pytest.fixture(scope="module")
def registry(ran):
    uri = f"sqlite:///{ran[0]}/mlflow.db"
    with mlflow_at(uri):
        yield uri


def test_the_registered_index_answers_both_ways(ran, registry):
    codes = Codes.read(place_of(ran[0], "codes"))
    index = mlflow.pyfunc.load_model("models:/tiny-index@champion")
    ids = index.unwrap_python_model().item_ids
    there = index.predict(pd.DataFrame({"key": ids[:5]}))
    back = index.predict(pd.DataFrame({"key": there["sid"]}), params={"direction": "sid_to_items"})
    assert [list(found) for found in back["item_ids"]] == [[item_id] for item_id in ids[:5]]
    prefix = f"<a_{codes.codes[0, 0]}>"
    found = index.predict(pd.DataFrame({"key": [prefix]}), params={"direction": "sid_to_items"})["item_ids"][0]
    assert len(found) == (codes.codes[:, 0] == codes.codes[0, 0]).sum()
    version = MlflowClient(tracking_uri=registry).get_model_version_by_alias("tiny-index", "champion")
    assert version.tags["fingerprint"] == codes.record.fingerprint
    assert version.tags["lineage.fused"].startswith("fused/tiny/1 ")


def test_the_registered_recommender_ranks_items(ran, registry):
    model = mlflow.pyfunc.load_model("models:/tiny-recommender@champion")
    ids = model.unwrap_python_model().item_ids
    answer = model.predict(pd.DataFrame({"history": [ids[:3], ids[5:6]]}), params={"k": 7, "exclude_history": True})
    for row, history in zip(answer.itertuples(), (ids[:3], ids[5:6]), strict=True):
        assert len(row.item_ids) == 7
        assert not set(row.item_ids) & set(history)
        assert row.scores == sorted(row.scores, reverse=True)


def test_a_recommender_refuses_another_index(ran, tmp_path, registry):
    store, _ = ran
    other = dataclasses.replace(tiny("other"), codes=dataclasses.replace(tiny().codes, unique="append"))
    places = pipeline.run(other, Store(Place.of(store)), LocalCompute(), pipeline.NullTracker(), "codes")
    with pytest.raises(ArtifactError, match=r"was trained on the codes codes/tiny/1 .* not codes/other/1"):
        Recommender.load(place_of(store, "model"), places["codes"], place_of(store, "catalog"))
    with pytest.raises(Exception, match="was trained on the codes"):
        mlflow.pyfunc.load_model("models:/tiny-recommender@champion", model_config={"codes": str(places["codes"])})


def test_questions_on_the_command_line(ran):
    store, _ = ran
    shown = unisid("show", "codes/tiny/1", store=store).stdout
    assert shown.startswith("codes/tiny/1\nThe codes: every item's semantic id")
    assert json.loads(unisid("show", "codes/tiny/1", "--json", store=store).stdout)["fingerprint"][:12] in shown
    listed = unisid("list", store=store).stdout
    assert all(f"{noun}/tiny/1" in listed for noun in NOUNS)
    below, head, first, *_ = unisid("items", "<a_0>", store=store).stdout.splitlines()
    assert below.startswith("<a_0>: ")
    assert head.split() == ["item", "semantic", "id", "title"]
    item = first.split()[0]
    assert unisid("sid", item, store=store).stdout.splitlines()[1].split()[:2] == first.split()[:2]
    best = unisid("recommend", "--history", item, "--k", "5", store=store)
    assert len(best.stdout.strip().splitlines()) == 1 + 5
    planned = unisid("plan", RECIPE, store=store).stdout
    assert "nothing to make" in planned


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "tinyy"), "recipe 'tinyy': not known"),
        (("run", RECIPE, "--codes.tokenizer.num_levles", "4"), "did you mean 'codes.tokenizer.num_levels'"),
        (("run", RECIPE, "--fused.fusion", "sum"), "fusion: no kind 'sum'"),
        (("show", "code/tiny/1"), "did you mean 'codes'"),
        (("show", "codes/tinny/1"), "did you mean 'codes/tiny/1'"),
        (("sid", "nobody"), "item 'nobody': not in catalog/tiny/1"),
        (("items", "b_1"), "semantic id 'b_1': must look like"),
        (("recommend", "--user", "nobody"), "user 'nobody': not in catalog/tiny/1"),
        (("recommend", "--user", "u0", "--k", "0"), "k"),
        (("run", RECIPE, "--codes.tokenizer.codebook_size", "9"), "tokenizer.codebook_size: 8 -> 9"),
    ],
)
def test_each_mistake_gives_one_clear_error(ran, words, message, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main([*words, "--store", str(ran[0])]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_a_command_has_help(tmp_path):
    result = unisid("plan", "--help", store=tmp_path)  # tests/test_cli.py has them all
    assert result.returncode == 0, result.stderr
    assert "exit codes" in result.stdout
    assert unisid("fly", store=tmp_path).returncode == 2


def test_the_metrics_hold_every_sample(ran):
    metrics = Metrics.read(place_of(ran[0], "metrics"))
    results = metrics.results()
    for method in ("uqf-tiger", "popularity", "itemknn"):
        ranks = metrics.ranks(method)
        assert ranks.num_rows == require(place_of(ran[0], "sequences"), "sequences").counts["test"]
        hits = sum(r is not None and r <= 10 for r in ranks["excluded"].to_pylist()) / ranks.num_rows
        assert results[method]["excluded"]["HR@10"]["mean"] == pytest.approx(hits)
