"""MLflow on SQLite: what is told arrives; a server that is away costs nothing."""

from types import SimpleNamespace

import pytest
from mlflow import MlflowClient

from tests.lines import logged
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Place
from unisid.runtime.tracking import EXPERIMENT, Tracker, figures, tracking_uri


@pytest.fixture
def said():
    """The lines of a test."""
    with logged() as lines:
        yield lines


def tracker(tmp_path, uri=None):
    return Tracker(uri or f"sqlite:///{tmp_path}/mlflow.db")


@pytest.mark.slow
def test_a_pipeline_is_a_parent_run_and_its_stages_are_children(tmp_path, said):
    told = tracker(tmp_path)
    with told.pipeline("demo", {"codes.tokenizer.num_levels": 3}, {"note": "a note"}):
        with told.stage("codes", {"codes.tokenizer.num_levels": 3}) as log:
            for step in range(3):
                log.metrics({"loss": 1.0 / (step + 1), "step": step})
                seen = MlflowClient(tracking_uri=told.uri).get_metric_history(log.run, "loss")
                assert seen[-1].step == step, "whoever watches sees it as it goes"
            record = Record(
                address="codes/demo/1",
                config={},
                inputs={"fused": {"address": "fused/demo/1", "fingerprint": "abc"}},
                counts={"items": 7, "quality": {"HR@10": 0.5}, "name": "x"},
            )
            log.finish(record, Place.of(tmp_path))
        with pytest.raises(RuntimeError, match="broken"), told.stage("model", {}):
            raise RuntimeError("broken")
    client = MlflowClient(tracking_uri=told.uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert runs["demo"].info.status == "FINISHED"
    assert runs["demo"].data.params["codes.tokenizer.num_levels"] == "3"
    child = runs["codes"]
    assert child.data.tags["mlflow.parentRunId"] == runs["demo"].info.run_id
    assert child.data.tags["input.fused"] == "fused/demo/1 abc"
    assert child.data.metrics["items"] == 7
    assert child.data.metrics["quality.HR_at_10"] == 0.5
    curve = client.get_metric_history(child.info.run_id, "loss")
    assert [(m.step, m.value) for m in curve] == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]
    assert runs["model"].info.status == "FAILED"
    assert said == []


def test_the_figures_of_a_record_are_its_numbers_by_name():
    counts = {
        "items": 7,
        "leaky": True,
        "name": "x",
        "chosen": {},
        "none": None,
        "quality": {"HR@10": 0.5, "usage": [1.0, 0.25], "examples": ["a"]},
    }
    expected = {"items": 7.0, "quality.HR@10": 0.5, "quality.usage.1": 1.0, "quality.usage.2": 0.25}
    assert figures(counts) == expected


def test_more_figures_than_mlflow_takes_at_once_arrive_all(tmp_path):
    """As of a table of many baselines, each by groups of samples."""
    batches = []
    client = SimpleNamespace(log_batch=lambda run, metrics: batches.append([m.key for m in metrics]))
    told = Tracker(f"sqlite:///{tmp_path}/mlflow.db", _client=client)
    told.log("run", {f"groups.{number}.HR@10": 0.5 for number in range(2300)}, step=0)
    assert [len(batch) for batch in batches] == [1000, 1000, 300]
    assert [key for batch in batches for key in batch] == [f"groups.{number}.HR_at_10" for number in range(2300)]
    assert not told.trouble


@pytest.mark.slow
def test_what_lies_on_another_file_system_is_told_too(tmp_path, said):
    told = tracker(tmp_path)
    remote = Place.of(f"memory://{tmp_path.name}")
    remote.write("report.html", b"<p>all well</p>")
    places = {noun: remote / noun for noun in ("catalog", "codes")}
    for noun, place in places.items():
        write_record(place, Record(address=f"{noun}/far/1", config={}, inputs={}))
    with told.pipeline("far", {}, {}):
        told.publish("far", places, remote)
        run = told.parent
    assert [f.path for f in MlflowClient(tracking_uri=told.uri).list_artifacts(run, "report")] == ["report/report.html"]
    assert len(said) == 1
    assert said[0] == "registry: far-index version 1 (candidate)"


@pytest.mark.slow
def test_a_server_that_is_away_costs_one_warning(tmp_path, monkeypatch, said):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    told = tracker(tmp_path, "http://127.0.0.1:9")
    with told.pipeline("demo", {}, {}), told.stage("codes", {}) as log:
        log.metrics({"loss": 1.0, "step": 0})
    assert len(said) == 1
    assert "cannot be reached" in said[0]
    assert "unisid sync" in said[0]


def test_what_came_from_data_is_shown_in_mlflow_too(tmp_path):
    told = tracker(tmp_path)
    with told.pipeline("demo", {"catalog.dataset.title": "name\x1b\u202e"}, {"note": "one\ntwo\u202e"}):
        run = told.parent
    data = MlflowClient(tracking_uri=told.uri).get_run(run).data
    assert data.params["catalog.dataset.title"] == "name\\x1b\\u202e"
    assert data.tags["note"] == "one\ntwo\\u202e"


def test_the_server_of_the_environment_comes_first(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(Place("/store")) == "sqlite:////store/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert tracking_uri(Place("/store")) == "http://mlflow:5000"
