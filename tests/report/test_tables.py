import dataclasses
import re
from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.report.runs import METHODS, write_run
from unisid.artifacts.metrics import HISTORY_RULES, write_groups
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Address
from unisid.artifacts.weights import read_json, write_json
from unisid.evaluation.groups import ORDER
from unisid.report import facts, html, tables


@dataclass
class Entry:
    address: Address
    state: str
    inputs: dict = field(default_factory=dict)
    difference: tuple = ()
    at_work: str = ""

    @property
    def noun(self):
        return self.address.noun


def test_plan_tree():
    entries = [
        Entry(Address("catalog", "demo", "1"), "complete"),
        Entry(Address("codes", "demo", "1"), "drift", {"catalog": {}}, ("levels: 3 -> 4", "seed: 1 -> 2")),
        Entry(Address("model", "demo", "1"), "to make", {"catalog": {}, "codes": {}}),
    ]
    assert tables.plan_tree(entries).splitlines() == [
        "+ catalog/demo/1  complete",
        "! codes/demo/1    drift     from catalog",
        "      levels: 3 -> 4",
        "      seed: 1 -> 2",
        "- model/demo/1    to make   from catalog, codes",
        "2 of 3 are there; 1 to make",
    ]


def test_results_say_everything_a_reader_asks(place):
    places = write_run(place, [f"Thing {n}" for n in range(300)])
    text = tables.results(places)
    lines = text.splitlines()
    assert lines[0] == "ranking, 943 test samples, all items; with one target a sample, MAP is MRR"
    names = [f"{metric}@{k}" for metric in ("HR", "NDCG", "MRR") for k in (5, 10, 20)]
    assert lines[1].split() == ["history", "excluded", *names]
    assert lines[2].split()[:3] == ["uqf-tiger", "0.2284", "0.3014"]
    assert "uqf-tiger - itemknn: NDCG@10 +0.0200 [+0.0100, +0.0300], one-sided p 0.004, Cohen's d +0.110" in text
    assert "uqf-tiger - itemknn: MRR@10 +0.0200 [+0.0100, +0.0300]" in text
    assert "before resolution: 100.0% distinct, 0.0% of items in collisions; after: all 300 unique" in text
    assert "Gini of items by id before resolution 0.000; next item among the 50 nearest vectors 12.5%" in lines
    assert sum(line.startswith("<a_") for line in lines) == 10
    assert max(map(len, lines)) <= 120


def test_metrics_that_were_made_before_there_was_mrr_are_shown_without_it(place):
    places = write_run(place, [f"Thing {n}" for n in range(30)])
    found = read_json(places["metrics"], "metrics.json")
    for by_rule in found.values():
        for figures in by_rule.values():
            for name in [name for name in figures if name.startswith("MRR")]:
                del figures[name]
    write_json(places["metrics"], "metrics.json", found)
    record = facts.records(places)["metrics"]
    write_record(places["metrics"], dataclasses.replace(record, files={}, sums={}))
    page = html.write_report(places, place / "report").read(html.FILE).decode()
    text = tables.results(places)
    for shown in (page, text):
        assert "NDCG@10" in shown
        assert "MRR" not in shown


@pytest.mark.parametrize("counts", [{"leaky": True}, {}])
def test_a_graph_that_leaked_marks_the_results(place, counts):
    """On the terminal and in the report: such figures are marked as what they are."""
    places = write_run(place, [f"Thing {n}" for n in range(30)]) | {"graph": place / "graph" / "demo" / "1"}
    write_record(places["graph"], Record(address="graph/demo/1", config={}, inputs={}, counts=counts))
    page = html.write_report(places, place / "report").read(html.FILE).decode()
    for text in (tables.results(places), page):
        assert (facts.LEAK in text) == bool(counts)


def test_figures_by_group_and_those_of_lists_stand_in_the_tables(place):
    """On the terminal and in the report: hits, gain and reciprocal rank, each of every method."""
    places = write_run(place, [f"Thing {n}" for n in range(30)])
    groups = {"all": (943, 0.0), "cold items": (12, 0.1), "history of 5 to 9": (931, 0.2)}
    figures = {
        method: {
            rule: {
                name: {"samples": count, "HR@10": shift + 0.5, "NDCG@10": shift + 0.25, "MRR@10": shift + scale}
                for name, (count, shift) in groups.items()
            }
            for rule in HISTORY_RULES
        }
        for method, scale in METHODS.items()
    }
    write_groups(places["metrics"], figures)
    record = facts.records(places)["metrics"]
    lists = {"coverage": 0.5, "gini": 0.25, "novelty": 3.456, "likeness": 0.125}
    theirs = {"baseline_lists": {"itemknn": lists | {"coverage": 0.75}}}
    write_record(places["metrics"], dataclasses.replace(record, counts=record.counts | {"lists": lists} | theirs))
    text = tables.results(places)
    rows = [line.split() for line in text.splitlines()]
    for metric, first in (("NDCG@10", "0.2500"), ("HR@10", "0.5000"), ("MRR@10", "0.1200")):
        head = rows.index([metric, "samples", *METHODS])
        assert rows[head + 1][:3] == ["all", "943", first]
    assert rows[head + 2] == ["cold", "items", "12", "0.2200", "0.1500", "0.2000"]
    assert ["uqf-tiger", "0.500", "0.250", "3.46", "0.125"] in rows
    assert ["itemknn", "0.750", "0.250", "3.46", "0.125"] in rows
    assert "lists, history excluded  coverage   Gini  novelty, bits  likeness within a list" in text
    page = html.write_report(places, place / "report").read(html.FILE).decode()
    assert re.search(r"<th>MRR@10</th>.*?<th>cold items</th><td>12</td><td>0.2200", page, re.S)
    assert re.search(r"<th>HR@10</th>.*?<th>cold items</th><td>12</td><td>0.6000", page, re.S)
    assert "<tr><th>itemknn</th><td>0.750</td><td>0.250</td><td>3.46</td><td>0.125</td></tr>" in page


def test_groups_stand_in_their_natural_order_however_they_are_stored(place):
    """From rare to popular, from short to long histories, on the terminal and in the report; strange ones last."""
    places = write_run(place, [f"Thing {n}" for n in range(30)])
    order = [*ORDER, "a group of another version"]
    figures = {name: {"samples": 9, "HR@10": 0.5, "NDCG@10": 0.5, "MRR@10": 0.5} for name in sorted(order)}
    write_groups(places["metrics"], {method: dict.fromkeys(HISTORY_RULES, figures) for method in METHODS})
    text = tables.results(places)
    page = html.write_report(places, place / "report").read(html.FILE).decode()
    shown = [name for name, samples in re.findall(r"<th>([^<]+)</th><td>(\d+)</td><td>0.5000", page)]
    assert shown == 3 * order
    lines = [re.split(r"  +", line) for line in text.splitlines()]
    head = next(n for n, line in enumerate(lines) if line[:2] == ["NDCG@10", "samples"])
    assert [line[0] for line in lines[head + 1 : head + 1 + len(order)]] == order


def test_nothing_made_says_nothing():
    assert tables.results({}) == ""


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([[0, 0]] * 3 + [[1, 0]] * 12 + [[1, 1]] * 2, (1, 0)),  # the longest prefix that ten share
        ([[0, c] for c in range(8)] + [[1, c] for c in range(9)], (1,)),  # none: the fullest first code
    ],
)
def test_example_prefix(codes, expected):
    codes = np.array(codes, np.int32)
    index = facts.Index((16, 16), len(codes), codes, ["title"] * len(codes), {})
    prefix = facts.example_prefix(index)
    assert prefix == expected
    assert (codes[facts.items_of(index, prefix), : len(prefix)] == expected).all()


def test_head_reads_no_more_than_asked(place):
    places = write_run(place, [f"Thing {n}" for n in range(30)])
    assert facts.head(places["catalog"], "items", "title", 7).to_pylist() == [f"Thing {n}" for n in range(7)]
    assert len(facts.head(places["catalog"], "items", "title", 99)) == 30


@pytest.mark.parametrize(("taken", "rule"), [(900, "allowed"), (100, "excluded"), (None, "excluded")])
def test_the_verdict_goes_by_the_rule_that_enough_targets_are_left_under(place, taken, rule):
    places = write_run(place, [f"Thing {n}" for n in range(30)])
    record = facts.records(places)["metrics"]
    counts = record.counts | ({} if taken is None else {"targets_taken_before": taken})
    write_record(places["metrics"], dataclasses.replace(record, counts=counts))
    text = tables.results(places)
    page = html.write_report(places, place / "report").read(html.FILE).decode()
    assert f"paired by sample, history {rule}" in text
    assert f", history {rule}; the best baseline" in page
    warned = "900 of 943 test targets are items that the user took before" in text
    assert warned == (taken == 900)
    assert ("900 of 943 test targets" in page) == warned
