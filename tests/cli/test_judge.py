"""`unisid judge` on the command line: news beside the verdict, JSON that is only JSON, and words that are refused."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from tests import recommenders
from tests.exchange import packages
from tests.stages import ring
from tests.versions import shop
from unisid import cli
from unisid.artifacts.store import Address, Store
from unisid.cli import judge_codes
from unisid.cli.session import Session
from unisid.pipeline import NullTracker
from unisid.tokenizers import rqkmeans


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
        (("--lists", "a.csv"), "--lists: 'a.csv' must be NAME=VALUE, such as mine=lists.parquet"),
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


def test_certify_prints_how_sure_each_width_is(tmp_path, capsys):
    recommenders.stored(tmp_path)
    assert cli.main(["certify", "--widths", "3", "20", "--k", "3", "--store", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"20 +100\.0% +3\.00 +100\.00%", out)
    assert cli.main(["certify", "--widths", "3", "--k", "3", "--json", "--store", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["widths"]["3"]["found"] == 1.0
    assert cli.main(["certify", "--widths", "8,3", "20", "--k", "3", "--json", "--store", str(tmp_path)]) == 0
    assert list(json.loads(capsys.readouterr().out)["widths"]) == ["8,3", "20"]
    with pytest.raises(SystemExit):
        cli.main(["certify", "--widths", "8,x", "--store", str(tmp_path)])
    assert cli.main(["certify", "--widths", "2", "--k", "3", "--store", str(tmp_path)]) == 1
    assert "beam 2 is smaller than k, 3" in capsys.readouterr().err


@pytest.fixture
def codes(place, tmp_path, capsys):
    """Runs `unisid judge --codes` over a catalog of 48 items and its index."""
    store = Store(place)
    packages.stored(store, rqkmeans.Config(num_levels=3, codebook_size=6, restarts=1))
    (tmp_path / "t.json").write_text(json.dumps({f"B{n}": [n // 8, n % 8] for n in range(48)}))
    (tmp_path / "r.json").write_text('{"indexes": {}, "ndcg": {}}')

    def run(*words):
        code = cli.main(["judge", "--codes", *words, "--store", str(place)])
        return (code, *capsys.readouterr())

    run.file, run.table = str(tmp_path / "t.json"), str(tmp_path / "r.json")
    return run


def test_ids_are_judged_beside_ours(codes):
    code, out, _ = codes("ours=codes/t/1", f"theirs={codes.file}", "--predict", codes.table)
    assert code == 0
    assert "2 indexes of catalog/t/1" in out
    assert re.search(r"sizes +6 6 6 +6 8", out)
    assert "theirs: no NDCG is predicted" in out
    code, out, _ = codes(f"theirs={codes.file}", "--json")
    assert json.loads(out)["indexes"]["theirs"]["entropy"] == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a=none.json",), "none.json: cannot be read"),
        (("a=codes/none/1",), "codes/none/1: not in"),
        (("a",), "--codes: 'a' must be NAME=VALUE"),
        (("a=t.json", "--lists", "b=c.csv"), "--codes: judges semantic IDs, --lists and --metrics ranked lists"),
        (("a=codes/t/1", "--predict", "none.json"), "no file 'none.json' here"),
    ],
)
def test_ids_that_cannot_be_judged_are_refused(codes, words, message):
    code, _, complaint = codes(*words)
    assert code == 1
    assert message in complaint


@pytest.fixture
def trained(tmp_path, capsys, monkeypatch):
    """Runs `unisid judge --train` with the recipe of a small shop, in a store that holds nothing; its output."""
    table, rows = shop.items(tmp_path, shop.ITEMS), shop.interactions(tmp_path)
    (tmp_path / "my.py").write_text(
        "from tests.versions import shop as small\nfrom unisid.pipeline import Recipe\n\n\n"
        f"def mine() -> Recipe:\n    return small.recipe({table!r}, {rows!r})\n"
    )
    theirs = {f"i{n}": [n % 5, n // 5 % 4, n // 20] for n in range(shop.ITEMS)}
    (tmp_path / "theirs.json").write_text(json.dumps(theirs))
    (tmp_path / "short.json").write_text(json.dumps({"i0": [0, 0, 0]}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Session, "tracker", lambda self: NullTracker())

    def run(*words):
        store = ("--store", str(tmp_path / "store"), "--compute", "local")
        code = cli.main(["judge", "--train", "my.py:mine", *words, *store])
        return (code, *capsys.readouterr())

    return run


def test_the_recipes_own_ids_stand_beside_theirs_with_all_that_it_made(trained, monkeypatch):
    """Before it trains it makes the catalog; afterwards its text's vectors are there to judge by."""
    monkeypatch.setattr(
        judge_codes, "_trained", lambda asked, recipe: judge_codes._made(asked, recipe, "codes") and None
    )
    code, out, news = trained("--codes", "theirs=theirs.json", "--json")
    assert code == 0, news
    found = json.loads(out, parse_constant=pytest.fail)
    assert found["catalog"] == "catalog/shop/1"
    assert list(found["indexes"]) == ["shop", "theirs"]
    assert found["indexes"]["theirs"]["distinct"] == 1
    assert all("text neighbours" in figures for figures in found["indexes"].values())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--codes", "shop=theirs.json"),
            "--codes: 'shop' is what the recipe's own ids are called; give these another",
        ),
        (("--codes", "a=theirs.json", "--catalog", "catalog/b/1"), "it is the recipe's, catalog/shop/1; leave it out"),
        (("--codes", "a=short.json"), "has no semantic id for 59 of 60 items of catalog/shop/1"),
    ],
    ids=["the recipe's name", "another catalog", "ids that lack items"],
)
def test_what_cannot_be_trained_on_is_refused_before_anything_is(trained, tmp_path, words, message):
    code, _, complaint = trained(*words)
    assert code == 1
    assert message in complaint
    assert not (tmp_path / "store" / "model").exists()
