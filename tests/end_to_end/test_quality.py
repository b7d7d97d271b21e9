"""No method falls below the figures that are committed (tests/end_to_end/reference.json)."""

import json

import pytest

from tests.end_to_end import quality


@pytest.fixture(scope="module")
def reference():
    return json.loads(quality.FILE.read_text())


@pytest.mark.slow
def test_no_figure_falls_on_planted_data(reference):
    assert quality.falls("planted", 0, quality.measured("planted", 0), reference) == []


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.skipif(not quality.MOVIELENS.exists(), reason="data/ml-100k is missing: python -m jobs.fetch_movielens")
def test_no_figure_falls_on_movielens(reference):
    if "movielens" not in reference["data"]:
        pytest.skip("has no reference yet: make metrics-reference")
    assert quality.falls("movielens", 0, quality.measured("movielens", 0), reference) == []


def test_a_fall_names_method_figure_and_commit(reference):
    [(method, metrics), *_] = reference["data"]["planted"].items()
    found = {name: {k: e["mean"] for k, e in ks.items()} for name, ks in reference["data"]["planted"].items()}
    assert quality.falls("planted", 0, found, reference) == []
    found[method]["HR@10"] = metrics["HR@10"]["low"] - 0.001
    [said] = quality.falls("planted", 0, found, reference)
    assert f"{method} on planted, seed 0: HR@10 is" in said
    assert f"commit {reference['commit']}" in said
    del found[method]
    assert len(quality.falls("planted", 0, found, reference)) == len(quality.METRICS)


def test_an_interval_of_seeds_holds_each_of_them():
    found = quality.interval([0.1, 0.12, 0.11])
    assert found["mean"] == pytest.approx(0.11)
    assert found["low"] < 0.1 < 0.12 < found["high"]
    assert quality.interval([0.2] * 3)["low"] == 0.2


def test_what_differs_is_told():
    def whole(**means):
        return {"data": {"planted": {method: {"HR@10": {"mean": mean}} for method, mean in means.items()}}}

    assert quality.differences(whole(a=0.1, b=0.2), whole(a=0.1, c=0.3)) == [
        "planted b HR@10: 0.2 -> gone",
        "planted c HR@10: new -> 0.3",
    ]
