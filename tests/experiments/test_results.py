"""A table whose cells are not all there: every value stands under its own seed."""

import csv

import numpy as np

from unisid.evaluation.figures import over_seeds, values_of
from unisid.experiments.results import cells_of
from unisid.report import experiment as shown
from unisid.report.tables import comma_separated


def table() -> shown.Table:
    """Two methods under seeds 1, 2 and 3; the rival's seed 1 failed."""
    random = np.random.default_rng(0)
    seeds = {"ours": [1, 2, 3], "rival": [2, 3]}
    cells = {
        method: values_of([np.ceil(random.exponential(9, 50)) for _ in own], (10,)) for method, own in seeds.items()
    }
    results = shown.Results({method: over_seeds(values, (10,)) for method, values in cells.items()}, {}, {})
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
    assert found.keys() == {("ours", 1), ("ours", 2), ("ours", 3), ("rival", 2), ("rival", 3)}
    first, second = table().rules["excluded"].figures["rival"]["HR@10"].by_seed
    assert (found["rival", 2], found["rival", 3]) == (first, second)


def test_the_table_says_which_cells_it_lacks():
    assert "50 test samples, all items ranked, seeds 1 2 3; rival without 1\n" in shown.text(table(), {}, {})
    assert shown.plain(table(), {}, {})["seeds"] == [1, 2, 3]


def test_every_cell_that_is_shown_has_its_mean_deviation_and_interval():
    lines, results = shown.text(table(), {}, {}).splitlines(), table().rules["excluded"]
    [means] = [n for n, line in enumerate(lines) if line.split() == ["method", "HR@10", "NDCG@10"]]
    [ends] = [n for n, line in enumerate(lines) if line.split() == ["method", "HR@10", "NDCG@10", "by", "seed"]]
    for row, method in enumerate(results.figures, 1):
        figures = results.figures[method]
        told = [f"{f.mean:.4f} +-{f.deviation:.4f}" for f in figures.values()]
        assert lines[means + row].split() == [method, *" ".join(told).split()]
        told = [f"{f.low:.4f} to {f.high:.4f}" for f in figures.values()]
        seeds = [f"{value:.4f}" for value in figures["NDCG@10"].by_seed]
        assert lines[ends + row].split() == [method, *" ".join(told).split(), *seeds]
