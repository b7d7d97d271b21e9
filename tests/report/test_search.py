"""The table and the plots of trials with known values."""

import numpy as np
import pytest

from tests.evaluation.outcomes import TEXTS, grid, outcome
from unisid.evaluation.estimates import configurations
from unisid.report import search


def test_one_seed_has_no_interval_and_what_was_stopped_no_mean():
    trials = [
        outcome({"a": 1}, {"ndcg": 0.1}),
        outcome({"a": 2}, {"ndcg": 0.9}, state="stopped", note="after 3 at 0.9"),
    ]
    first, second = configurations(trials, ["ndcg"])
    assert np.isnan(first.estimates["ndcg"].half)
    assert second.estimates == {}
    table = search.table(trials, ["ndcg"], ["ndcg"])
    assert "stopped after 3 at 0.9" in table
    assert table.splitlines()[1].split() == ["1", "1", "0.1000"]


def test_the_table_is_best_first_and_marks_the_front():
    trials = [outcome({"codes.x": n}, {"ndcg": n / 10, "index": 1 - n / 10}) for n in (1, 3, 2)]
    trials.append(outcome({"codes.x": 4}, {"ndcg": 0.05, "index": 0.05}))
    lines = search.table(trials, ["ndcg", "index"], ["ndcg", "index"]).splitlines()
    assert lines[0].split() == ["x", "seeds", "ndcg", "index"]
    assert [line.split()[0] for line in lines[1:]] == ["3", "2", "1", "4"]
    assert ["*" in line for line in lines[1:]] == [True, True, True, False]


def test_every_trial_is_a_row():
    trials = [outcome({"codes.x": "a,b"}, {"ndcg": 0.5}, 7), outcome({"codes.x": "c"}, {}, None, "failed", "why")]
    assert search.rows(trials, ["ndcg"]).decode().splitlines() == [
        "codes.x,seed,state,ndcg,note",
        '"a,b",7,complete,0.5,',
        "c,,failed,,why",
    ]


def test_sensitivity_draws_means_bands_and_trials():
    trials = grid("fused.loss.structure_weight")
    figures = search.plots(trials, ["ndcg"], TEXTS)
    assert set(figures) == {"sensitivity"}
    ndcg, index = figures["sensitivity"].axes
    assert (ndcg.get_title(loc="left"), index.get_title(loc="left")) == ("NDCG", "index quality")
    assert ndcg.get_xlabel() == "structure weight"
    means = [c.estimates["ndcg"].mean for c in configurations(trials, ["ndcg"])]
    line = next(line for line in ndcg.lines if len(line.get_xdata()) == 3 and line.get_linewidth() == 1.6)
    assert line.get_ydata() == pytest.approx(means)
    assert list(line.get_xdata()) == [1.0, 2.0, 3.0]
    assert len(ndcg.collections) == 1, "the band"
    once = search.plots(grid("a", seeds=(1,)), ["ndcg"], TEXTS)["sensitivity"]
    assert not once.axes[0].collections, "no band without repeats"


def test_rates_stand_on_a_logarithmic_axis_and_words_in_order():
    rates = [outcome({"rate": rate}, {"ndcg": 0.1}) for rate in (1e-4, 1e-3, 1e-2)]
    assert search.plots(rates, ["ndcg"], {"ndcg": "NDCG"})["sensitivity"].axes[0].get_xscale() == "log"
    words = [outcome({"kind": kind}, {"ndcg": 0.1}) for kind in ("uqf", "concat")]
    axis = search.plots(words, ["ndcg"], {"ndcg": "NDCG"})["sensitivity"].axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["concat", "uqf"]


def test_two_dimensions_are_a_heat_map():
    trials = grid("codes.levels", "codes.size")
    figures = search.plots(trials, ["ndcg", "index"], TEXTS)
    assert set(figures) == {"heat-map", "sensitivity", "pareto"}
    cells = figures["heat-map"].axes[0].images[0].get_array()
    assert cells.shape == (2, 3)
    found = configurations(trials, ["ndcg"])
    for c in found:
        at = int(c.settings["codes.size"]) - 1, int(c.settings["codes.levels"]) - 1
        assert cells[at] == c.estimates["ndcg"].mean
    assert len(figures["sensitivity"].axes) == 4


def test_a_single_value_or_nothing_complete():
    assert set(search.plots([outcome({"a": 1}, {"ndcg": 0.2})], ["ndcg"], {"ndcg": "NDCG"})) == {"sensitivity"}
    assert search.plots([outcome({"a": 1}, {}, state="failed")], ["ndcg"], {"ndcg": "NDCG"}) == {}


def test_keys_are_as_short_as_tells_them_apart():
    keys = ["codes.training.learning_rate", "model.training.learning_rate", "codes.unique"]
    assert search.short(keys[:1]) == ["learning_rate"]
    assert search.short([keys[0], keys[2]]) == ["learning_rate", "unique"]
    assert search.short(keys) == ["codes.training.learning_rate", "model.training.learning_rate", "codes.unique"]
