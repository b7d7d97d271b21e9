"""The plots of an experiment with known figures."""

from types import SimpleNamespace

import pytest

from tests.report.drawings import marks, panels
from unisid.report import experiment_plots, plots
from unisid.report.colors import PALETTE, REST

METHODS = ("ours", "tiger", "sasrec", "popularity")
DIFFERENCES = {"tiger": 0.01, "sasrec": 0.001, "popularity": -0.02}


def figure(mean):
    return SimpleNamespace(mean=mean, low=mean - 0.01, high=mean + 0.02, by_seed=(mean - 0.003, mean + 0.003))


def comparison(difference):
    test = SimpleNamespace(difference=difference)
    return SimpleNamespace(low=difference - 0.004, high=difference + 0.004, test=test)


@pytest.fixture
def table():
    names = [f"{metric}@{k}" for metric in ("HR", "NDCG") for k in (5, 10)]
    figures = {m: {name: figure(n + len(name)) for name in names} for n, m in enumerate(METHODS)}
    comparisons = {m: {name: comparison(d) for name in names} for m, d in DIFFERENCES.items()}
    results = SimpleNamespace(figures=figures, comparisons=comparisons)
    at = {method: 10.0**n for n, method in enumerate(METHODS)}
    return SimpleNamespace(
        rules={"excluded": results}, axis="items", at=at, cutoffs=[5, 10], ours="ours", decisive="NDCG@10"
    )


def test_differences_are_coloured_and_filled_where_they_do_not_reach_zero(table):
    picture = experiment_plots.plots(table)["forest"]
    assert plots.png(picture)[:4] == b"\x89PNG"
    hr, ndcg = panels(picture)
    assert [hr["title"], ndcg["title"]] == [
        "ours minus the other, HR@10, history excluded",
        "ours minus the other, NDCG@10, history excluded",
    ]
    _, (_, spans, _), (_, points, _) = marks(ndcg)
    assert spans == points
    assert [row["method"] for row in points] == list(DIFFERENCES)
    assert [row["difference"] for row in points] == list(DIFFERENCES.values())
    assert [row["color"] for row in points] == [PALETTE[0], REST, PALETTE[3]]
    assert [row["fill"] for row in points] == [PALETTE[0], "white", PALETTE[3]]


def test_lines_over_the_axis_have_bands_and_seeds(table):
    hr, _ = panels(experiment_plots.plots(table)["line"])
    kinds = [kind for kind, _, _ in marks(hr)]
    assert kinds == ["circle", "area", "line", "circle"]
    (_, seeds, _), (_, band, _), (_, means, encoding), _ = marks(hr)
    assert encoding["x"]["title"] == "items"
    assert len(seeds) == 2 * len(band) == 2 * 2 * len(METHODS)
    assert [row["x"] for row in means if row["k"] == "@5"] == [1.0, 10.0, 100.0, 1000.0]
    assert all(row["low"] < row["y"] < row["high"] for row in band)
    assert "line-allowed" not in experiment_plots.plots(table)
    table.rules["allowed"] = table.rules["excluded"]
    assert [each["title"] for each in panels(experiment_plots.plots(table)["line-allowed"])] == [
        "HR, history allowed",
        "NDCG, history allowed",
    ]


def test_bars_stand_side_by_side_in_the_order_of_the_axis(table):
    picture = experiment_plots.plots(table)["bars"]
    assert plots.png(picture)[:4] == b"\x89PNG"
    (_, drawn, encoding), (kind, reach, _) = marks(panels(picture)[0])
    assert (kind, reach) == ("rule", drawn)
    assert encoding["xOffset"]["sort"] == ["items 1", "items 10", "items 100", "items 1000"]
    assert [(row["k"], row["place"]) for row in drawn[:2]] == [("@5", "items 1"), ("@5", "items 10")]
    assert [row["y"] for row in drawn[:2]] == [4.0, 5.0]


def test_without_ranks_nothing_is_drawn(table):
    table.rules = {}
    assert experiment_plots.plots(table) == {}


def test_a_panel_a_figure_of_indexes_leaves_out_what_is_no_number():
    qualities = {"ours": [{"usage": 0.5, "overlap": 1.0}, {"usage": 0.7, "overlap": float("nan")}]}
    qualities["other"] = [{"usage": float("nan"), "overlap": 2.0}]
    picture = experiment_plots.figures_of_indexes(qualities, "ours")
    assert plots.png(picture)[:4] == b"\x89PNG"
    usage, overlap = panels(picture)
    assert (usage["title"], overlap["title"]) == ("usage", "overlap")
    (_, line, _), (_, seeds, _), (_, means, _) = marks(usage)
    assert [row["x"] for row in seeds] == [0.5, 0.7]
    assert [(row["method"], row["x"]) for row in means] == [("ours", pytest.approx(0.6))]
    assert line == means
    assert [row["x"] for row in marks(overlap)[2][1]] == [1.0, 2.0]


def test_curves_are_a_panel_a_figure_and_a_line_a_method():
    learned = {"ours": {"loss": [(1, 2.0), (2, 1.0)], "hr": [(2, 0.5)]}, "other": {"loss": [(1, 3.0)]}}
    picture = experiment_plots.curves(learned)
    assert plots.png(picture)[:4] == b"\x89PNG"
    loss, hr = panels(picture)
    assert (loss["title"], hr["title"]) == ("validation, loss", "validation, hr")
    (kind, rows, _), (_, same, _) = marks(loss)
    assert (kind, rows) == ("line", same)
    assert [(row["method"], row["x"], row["y"]) for row in rows] == [
        ("ours", 1, 2.0),
        ("ours", 2, 1.0),
        ("other", 1, 3.0),
    ]
    assert [row["method"] for row in marks(hr)[0][1]] == ["ours"]
