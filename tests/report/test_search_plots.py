"""The plots of trials with known values."""

import pytest

from tests.evaluation.outcomes import TEXTS, grid, outcome
from tests.report.drawings import marks, panels
from unisid.evaluation.estimates import configurations
from unisid.report import plots, search_plots


def drawn(trials, objectives, texts):
    """File name -> panels, each of which can be made a picture."""
    found = search_plots.plots(trials, objectives, texts)
    assert all(plots.png(each)[:4] == b"\x89PNG" for each in found.values())
    return {name: panels(each) for name, each in found.items()}


def test_sensitivity_draws_means_bands_and_trials():
    trials = grid("fused.loss.structure_weight")
    found = drawn(trials, ["ndcg"], TEXTS)
    assert set(found) == {"sensitivity"}
    ndcg, index = found["sensitivity"]
    assert (ndcg["title"], index["title"]) == ("NDCG", "index quality")
    layers = marks(ndcg)
    assert [kind for kind, _, _ in layers] == ["circle", "area", "line", "circle"]
    (_, trial_dots, x), (_, band, _), (_, line, _), _ = layers
    assert x["x"]["title"] == "structure weight"
    estimates = [c.estimates["ndcg"] for c in configurations(trials, ["ndcg"])]
    assert [row["y"] for row in line] == pytest.approx([each.mean for each in estimates])
    assert [row["x"] for row in line] == [1.0, 2.0, 3.0]
    assert [row["high"] - row["low"] for row in band] == pytest.approx([2 * each.half for each in estimates])
    assert len(trial_dots) == len(trials)
    [once, _] = drawn(grid("a", seeds=(1,)), ["ndcg"], TEXTS)["sensitivity"]
    assert "area" not in [kind for kind, _, _ in marks(once)], "no band without repeats"


def test_rates_stand_on_a_logarithmic_axis_and_words_in_order():
    rates = [outcome({"rate": rate}, {"ndcg": 0.1}) for rate in (1e-4, 1e-3, 1e-2)]
    [panel] = drawn(rates, ["ndcg"], {"ndcg": "NDCG"})["sensitivity"]
    across = marks(panel)[0][2]["x"]
    assert (across["scale"]["type"], across["axis"]["values"]) == ("log", [1e-4, 1e-3, 1e-2])
    words = [outcome({"kind": kind}, {"ndcg": 0.1}) for kind in ("uqf", "concat")]
    [panel] = drawn(words, ["ndcg"], {"ndcg": "NDCG"})["sensitivity"]
    across = marks(panel)[0][2]["x"]
    assert (across["type"], across["sort"]) == ("ordinal", ["concat", "uqf"])


def test_two_dimensions_are_a_heat_map():
    trials = grid("codes.levels", "codes.size")
    found = drawn(trials, ["ndcg", "index"], TEXTS)
    assert set(found) == {"heat-map", "sensitivity", "pareto"}
    (_, cells, encoding), (_, texts, _) = marks(found["heat-map"][0])
    assert (encoding["x"]["sort"], encoding["y"]["sort"]) == (["1", "2", "3"], ["2", "1"])
    means = {(cell["x"], cell["y"]): cell["mean"] for cell in cells}
    assert len(means) == 6
    for c in configurations(trials, ["ndcg"]):
        at = f"{c.settings['codes.levels']:g}", f"{c.settings['codes.size']:g}"
        assert means[at] == c.estimates["ndcg"].mean
    assert {cell["text"] for cell in texts} == {f"{mean:.4f}" for mean in means.values()}
    assert len(found["sensitivity"]) == 4


def test_the_front_of_two_measures_is_joined():
    trials = [outcome({"x": n}, {"ndcg": n / 10, "index": 1 - n / 10}) for n in (1, 3, 2)]
    trials.append(outcome({"x": 4}, {"ndcg": 0.05, "index": 0.05}))
    [panel] = drawn(trials, ["ndcg", "index"], TEXTS)["pareto"]
    (_, joined, _), (_, dots, encoding), _ = marks(panel)
    assert sorted(point["text"] for point in joined) == ["1", "2", "3"]
    assert [point["text"] for point in dots if not point["best"]] == ["4"]
    assert (encoding["x"]["title"], encoding["y"]["title"]) == ("NDCG", "index quality")


def test_a_single_value_or_nothing_complete():
    assert set(drawn([outcome({"a": 1}, {"ndcg": 0.2})], ["ndcg"], {"ndcg": "NDCG"})) == {"sensitivity"}
    assert drawn([outcome({"a": 1}, {}, state="failed")], ["ndcg"], {"ndcg": "NDCG"}) == {}
