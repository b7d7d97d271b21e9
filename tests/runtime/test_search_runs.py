"""What MLflow is told of searches."""

import pytest
from mlflow import MlflowClient

from tests.lines import logged
from unisid.errors import ArtifactError
from unisid.runtime.search_runs import SearchRuns
from unisid.runtime.tracking import tracker


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_a_trial_is_a_run_inside_its_search(place):
    runs = SearchRuns(tracker(place))
    with runs.search("weights", {"space.w": "0, 1"}):
        curve = [(1, "valid_score", 0.1), (1, "valid_hr_10", 0.2), (2, "valid_score", 0.3)]
        runs.trial("demo-trial-1", {"w": 0.0}, {"ndcg": 0.3, "seconds": 1.5}, {"state": "complete", "note": ""}, curve)
        runs.trial("demo-trial-2", {"w": 1.0}, {}, {"state": "stopped", "note": "after 3"}, [])
    client = MlflowClient(tracking_uri=runs.tracker.uri)
    found = client.search_runs([client.get_experiment_by_name("unisid").experiment_id])
    by_name = {run.info.run_name: run for run in found}
    parent = by_name.pop("weights")
    assert parent.data.tags["kind"] == "search"
    assert {run.data.tags["mlflow.parentRunId"] for run in by_name.values()} == {parent.info.run_id}
    assert all(run.info.status == "FINISHED" for run in found)
    assert by_name["demo-trial-1"].data.params == {"w": "0.0"}
    assert by_name["demo-trial-2"].data.tags["state"] == "stopped"
    first = by_name["demo-trial-1"]
    assert first.data.metrics["ndcg"] == 0.3
    history = client.get_metric_history(first.info.run_id, "valid_score")
    assert [(m.step, m.value) for m in history] == [(1, 0.1), (2, 0.3)]


def test_a_server_that_is_away_costs_no_search_and_only_registering_complains(place, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    runs = SearchRuns(tracker(place))
    place.write("table.txt", b"")
    with logged() as said, runs.search("weights", {}):
        runs.trial("demo-trial-1", {}, {"ndcg": 0.3}, {"state": "complete"}, [])
        runs.publish("weights", {}, place)
        with pytest.raises(ArtifactError, match=r"demo is not registered, for MLflow .* --resume --register"):
            runs.publish("demo", {"codes": place}, place)
    assert len(said) == 1
    assert "cannot be reached" in said[0]
