"""`unisid judge --lists --metrics`: news beside the verdict, JSON that is only JSON, and words that are refused."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from tests.stages import ring
from unisid import cli
from unisid.artifacts.catalog import TEST, Catalog
from unisid.artifacts.metrics import HISTORY_RULES, write_metrics
from unisid.artifacts.record import Record, write_record
from unisid.artifacts.store import Address, Store
from unisid.cli.judge_lists import systems_of
from unisid.evaluation.ranks import summarise, write_method
from unisid.ops.by_user import Users


@pytest.fixture
def judge(place, tmp_path, capsys):
    """Runs the command over a ring of 15 items; returns exit code, output and complaints."""
    ring.write_catalog(Store(place).place(Address("catalog", "ring", "1")), ring.walks(20, 15), 15)
    random = np.random.default_rng(0)
    for name, seed in (("a", 0), ("b", 1)):
        rows = [(u, f"item {i}") for u in range(20 - seed) for i in random.permutation(15)[:10].tolist()]
        pd.DataFrame(rows, columns=["user_id", "item_id"]).to_csv(tmp_path / f"{name}.csv", index=False)

    def run(*words):
        code = cli.main(["judge", *words, "--store", str(place)])
        return (code, *capsys.readouterr())

    run.a, run.b = str(tmp_path / "a.csv"), str(tmp_path / "b.csv")
    return run


def test_two_systems_are_judged(judge):
    code, out, complaint = judge("--lists", f"mine={judge.a}", f"other={judge.b}")
    assert (code, complaint) == (0, "")
    assert "mine: 20 lists of at most 10 items, ordered by row" in out
    assert "other: 1 of 20 test samples have no list and count as missed" in out
    assert "2 systems, 20 test samples of catalog/ring/1" in out
    assert re.search(r"mine is .*ahead of other: NDCG@10 [+-]", out)


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("a.parquet", ("a", ["a.parquet"])),
        ("s3://shop/day=1/b.csv.gz", ("b", ["s3://shop/day=1/b.csv.gz"])),
        ("runs/c/", ("c", ["runs/c/"])),
        ("d=x.csv,y=1.csv", ("d", ["x.csv", "y=1.csv"])),
    ],
)
def test_systems_are_named_by_word_or_file(word, wanted):
    assert systems_of([word]) == [wanted]


def test_a_path_alone_is_called_as_its_file(judge):
    code, out, _ = judge("--lists", judge.a, judge.b, "--json")
    assert code == 0
    assert json.loads(out)["seeds"] == {"a": 1, "b": 1}


def test_lists_of_ids_in_the_order_of_users_are_judged(judge, tmp_path):
    """The lists of a.csv again, spelled, as MiniOneRec writes them: the same figures, as every item has its own id."""
    ids = {f"item {n}": f"<a_{n // 4}><b_{n % 4}>" for n in range(15)}
    (tmp_path / "ids.json").write_text(json.dumps({name: re.findall("<[^>]*>", sid) for name, sid in ids.items()}))
    lists = pd.read_csv(judge.a).groupby("user_id")["item_id"].agg(list)
    (tmp_path / "final.json").write_text(json.dumps([{"predict": [ids[i] for i in each]} for each in lists], indent=4))
    (tmp_path / "users.txt").write_text("\n".join(map(str, lists.index)))
    words = ("--ids", f"theirs={tmp_path}/ids.json", "--users", f"theirs={tmp_path}/users.txt", "--json")
    code, out, news = judge("--lists", judge.a, f"theirs={tmp_path}/final.json", *words)
    assert code == 0, news
    figures = json.loads(out)["rules"]["excluded"]["figures"]
    assert figures["theirs"] == figures["a"]


@pytest.fixture
def methods(judge, place):
    """Writes metrics of the ring's test samples, made from a recommender of these settings; returns the address."""
    store = Store(place)
    catalog = Catalog.read(store.place(Address("catalog", "ring", "1")))
    rows = catalog.samples(TEST)

    def write(name, seed, width=8, method="zeta"):
        made = store.place(Address("model", name, "1"))
        model = Record(address=str(made.address), config={"width": width, "training": {"seed": seed}}, inputs={})
        write_record(made, model)
        out = store.place(Address("metrics", name, "1"))
        places = {method: np.ones(len(rows)), "alpha": np.full(len(rows), 2.0)}
        users = Users.of(catalog.user[rows])
        ranks = {each: dict.fromkeys(HISTORY_RULES, place) for each, place in places.items()}
        write_metrics(out, {each: summarise(found, users, (1,), 5, 1) for each, found in sorted(ranks.items())}, {})
        for each, found in ranks.items():
            write_method(out, each, found, catalog, rows)
        inputs = {"model": {"address": model.address, "fingerprint": model.fingerprint}}
        write_record(out, Record(address=f"metrics/{name}/1", config={"method": method, "seed": seed}, inputs=inputs))
        return f"metrics/{name}/1"

    write.judge = judge
    return write


def test_addresses_alone_are_seeds_and_the_recommender_comes_first(methods):
    one, two = methods("one", 1), methods("two", 2)
    code, out, complaint = methods.judge("--metrics", one, two, "--lists", methods.judge.a, "--json")
    assert code == 0, complaint
    found = json.loads(out)
    assert list(found["seeds"].items()) == [("zeta", 2), ("a", 1), ("alpha", 2)]
    assert list(found["rules"]["excluded"]["comparisons"]) == ["a", "alpha"]


def test_addresses_of_different_systems_are_refused_until_they_are_named(methods):
    one, two, other = methods("one", 1), methods("two", 2), methods("other", 1, width=16)
    code, _, complaint = methods.judge("--metrics", one, other)
    assert code == 1
    assert "differ in more than their seeds (model.width: 8 -> 16)" in complaint
    assert f"name each system: NAME={one} NAME={other}" in complaint
    code, out, complaint = methods.judge("--metrics", f"small={one},{two}", f"large={other}", "--json")
    assert code == 0, complaint
    assert json.loads(out)["seeds"] == {"small": 2, "large": 1}
    code, out, _ = methods.judge("--metrics", f"mine={one},{other}")
    assert code == 0
    assert "mine: its seeds differ in other settings too: model.width: 8 -> 16" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{0}", "{0}"), "--metrics: metrics/one/1 is given twice; give each seed and each system once"),
        (("a={0},{1}",), "--metrics: metrics/twin/1 and metrics/one/1 are of one recommender"),
        (("a={0}", "a={1}"), "--metrics: 'a' is given twice; give each a name of its own"),
        (("{0}", "alpha={2}"), "--metrics: 'alpha' is a method of metrics/one/1"),
    ],
)
def test_a_recommender_that_stands_twice_is_refused(methods, words, message):
    known = methods("one", 1), methods("twin", 1), methods("two", 2)
    code, _, complaint = methods.judge("--metrics", *(word.format(*known) for word in words))
    assert code == 1
    assert message in complaint


def test_json_is_only_json_and_several_paths_are_seeds(judge):
    code, out, news = judge("--lists", f"mine={judge.a},{judge.b}", "--json", "--cutoffs", "5")
    assert code == 0
    found = json.loads(out, parse_constant=pytest.fail)
    assert found["seeds"] == {"mine": 2}
    assert found["cutoffs"] == [5]
    assert "mine: 20 lists" in news
    once = json.loads(judge("--lists", f"mine={judge.a}", "--json")[1], parse_constant=pytest.fail)
    assert once["rules"]["excluded"]["figures"]["mine"]["HR@5"]["deviation"] is None  # of one seed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no system is given; give --lists NAME=PATH, --metrics ADDRESS or both"),
        (("--lists", "a.csv,b.csv"), "--lists: 'a.csv,b.csv' are several paths, seeds of one system; name it: NAME="),
        (("--lists", "x/a.csv", "y/a.csv"), "--lists: 'a' is given twice; give each a name of its own, as in mine=y/a"),
        (("--lists", "a=b.csv,b.csv"), "--lists: 'b.csv' is given twice as a seed of 'a'"),
        (("--lists", "a=b.csv", "--ids", "b=c.json"), "--ids: no lists are called 'b'; there are: a"),
        (("--lists", "a=b.csv", "--users", "c", "d"), "--users: a file for all lists is given twice"),
        (("--lists", "a=b.csv", "a=c.csv"), "--lists: 'a' is given twice"),
        (("--lists", "a=none.csv"), "lists: there is no file 'none.csv'"),
        (("--metrics", "metrics/none/1"), "metrics/none/1: not in"),
        (("--lists", "a=b", "--cutoffs", "5", "0"), "--cutoffs: 5, 0; must be at least 1"),
        (("--lists", "a=b", "--difference", "nan"), "--difference: is nan; must be above 0 and at most 1"),
        (("--lists", "a=b", "--difference", "-0.1"), "--difference: is -0.1; must be above 0 and at most 1"),
        (("--catalog", "catalog/none/1", "--lists", "a=b"), "catalog/none/1: not in"),
    ],
)
def test_what_cannot_be_judged_is_refused(judge, words, message):
    code, _, complaint = judge(*words)
    assert code == 1
    assert message in complaint


def test_cutoffs_beyond_the_lists_are_refused(judge):
    code, _, complaint = judge("--lists", f"mine={judge.a}", "--cutoffs", "11")
    assert code == 1
    assert "--cutoffs: 11 is more than the shortest lists' 10 items" in complaint
