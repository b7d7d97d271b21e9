"""A table whose cells are not all there: every value stands under its own seed."""

import csv
from dataclasses import replace

import numpy as np

from tests.report.drawings import panels
from unisid.artifacts.record import Record
from unisid.evaluation.figures import comparisons, over_cutoffs, over_seeds, values_of
from unisid.experiments.results import cells_of, lists_of
from unisid.ops.by_user import Users
from unisid.report import experiment as shown
from unisid.report import experiment_plots
from unisid.report.tables import comma_separated

NAMES = ("HR@10", "NDCG@10", "MRR@10")


def table() -> shown.Table:
    """Two methods under seeds 1, 2 and 3; the baseline's seed 1 failed."""
    random = np.random.default_rng(0)
    seeds = {"ours": [1, 2, 3], "baseline": [2, 3]}
    cells = {
        method: values_of([np.ceil(random.exponential(9, 50)) for _ in own], (10,)) for method, own in seeds.items()
    }
    users = Users.single(50)
    results = shown.Results({method: over_seeds(each, users, (10,)) for method, each in cells.items()}, {}, {})
    return shown.Table(
        title="small",
        question="Which?",
        seeds=seeds,
        num_samples=50,
        cutoffs=(10,),
        ours="ours",
        rules={"excluded": results},
        at={},
    )


def test_a_value_stands_under_the_seed_of_its_cell():
    rows = list(csv.DictReader(comma_separated(cells_of(table())).decode().splitlines()))
    found = {(r["method"], int(r["seed"])): float(r["value"]) for r in rows if r["metric"] == "HR@10"}
    assert found.keys() == {("ours", 1), ("ours", 2), ("ours", 3), ("baseline", 2), ("baseline", 3)}
    first, second = table().rules["excluded"].figures["baseline"]["HR@10"].by_seed
    assert (found["baseline", 2], found["baseline", 3]) == (first, second)


def test_the_table_says_which_cells_it_lacks():
    assert "50 test samples, all items ranked, seeds 1 2 3; baseline without 1\n" in shown.text(table(), {}, {})
    assert shown.plain(table(), {}, {})["seeds"] == [1, 2, 3]


def test_every_cell_that_is_shown_has_its_mean_deviation_and_interval():
    lines, results = shown.text(table(), {}, {}).splitlines(), table().rules["excluded"]
    [means] = [n for n, line in enumerate(lines) if line.split() == ["method", *NAMES]]
    [ends] = [n for n, line in enumerate(lines) if line.split() == ["method", *NAMES, "by", "seed"]]
    for row, method in enumerate(results.figures, 1):
        figures = results.figures[method]
        told = [f"{f.mean:.4f} +-{f.deviation:.4f}" for f in figures.values()]
        assert lines[means + row].split() == [method, *" ".join(told).split()]
        told = [f"{f.low:.4f} to {f.high:.4f}" for f in figures.values()]
        seeds = [f"{value:.4f}" for value in figures["NDCG@10"].by_seed]
        assert lines[ends + row].split() == [method, *" ".join(told).split(), *seeds]


def over_an_axis() -> shown.Table:
    """The same with both methods on an axis, compared, under both history rules."""
    found, values = table(), values_of([np.arange(1.0, 51)], (10,))
    own = found.rules["excluded"]
    compared = shown.Results(
        own.figures,
        comparisons(values, {"baseline": values * 0.5}, Users.single(50), (10,)),
        {"baseline": over_cutoffs(np.array([0.3, 0.2, 0.1]), np.array([0.2, 0.2, 0.1]))},
    )
    return replace(found, rules={"excluded": compared, "allowed": compared}, axis="size", at={"ours": 2, "baseline": 1})


def test_every_plot_is_drawn_under_both_rules_and_says_which():
    drawn = experiment_plots.plots(over_an_axis())
    assert set(drawn) == {f"{name}{rule}" for name in ("forest", "line", "bars") for rule in ("", "-allowed")}
    for name, picture in drawn.items():
        rule = "allowed" if name.endswith("allowed") else "excluded"
        assert all(f"history {rule}" in panel["title"] for panel in panels(picture))


def test_both_forms_of_a_comparison_are_printed():
    text = shown.text(over_an_axis(), {}, {})
    assert "in the thesis's form (table 6.2), over the cut-offs 10; it says nothing of users" in text
    row = next(line.split() for line in text.splitlines() if line.split()[:2] == ["baseline", "HR"])
    assert row == ["baseline", "HR", "+0.1000", "+50.0%", "-", "-", "1", "+0.00"]


def test_what_lists_are_like_and_whom_they_serve_is_shown_where_it_was_judged():
    spread = {"ours": {"coverage": 0.5, "HR@10 middle third": 0.25}, "baseline": {"coverage": 0.75}}
    whole = replace(table(), spread=spread, printed=(10, 50))
    lines = shown.text(whole, {}, {}).splitlines()
    [place] = [n for n, line in enumerate(lines) if line.startswith("history excluded: lists of the methods")]
    assert lines[place + 1].split() == ["method", "coverage", "HR@10", "middle", "third"]
    rows = [line.split() for line in lines[place + 2 : place + 4]]
    assert rows == [["ours", "0.5", "0.25"], ["baseline", "0.75", "-"]]
    assert shown.plain(whole, {}, {})["lists"] == spread
    assert whole.shown == ["HR@10", "NDCG@10", "MRR@10"]  # of what is printed, what was measured
    assert "lists of the methods" not in shown.text(table(), {}, {})


def test_a_cell_has_the_figures_of_its_lists_and_of_popularity():
    groups = {"most popular third": {"samples": 3, "HR@10": 0.5, "NDCG@10": 0.4}, "cold items": {"HR@10": 0.0}}
    counts = {"lists": {"coverage": 0.5, "gini": 0.2, "novelty": 3.0, "likeness": 0.1}, "groups": {"excluded": groups}}
    record = Record(address="metrics/a/1", config={}, inputs={}, counts=counts)
    assert lists_of(record) == {"coverage": 0.5, "gini": 0.2, "novelty": 3.0, "HR@10 most popular third": 0.5}
