"""`unisid judge --codes`: semantic ids side by side, and a recipe's recommender trained on each."""

import json
import re

import pytest

from tests.exchange import packages
from tests.versions import shop
from unisid import cli
from unisid.artifacts.record import read_record
from unisid.artifacts.store import Address, Place, Store
from unisid.cli.judge_codes import by_seed
from unisid.cli.session import Session
from unisid.pipeline import NullTracker
from unisid.tokenizers import rqkmeans


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


@pytest.mark.slow
def test_recommenders_are_trained_on_both_under_every_seed(trained, tmp_path, capsys):
    """In a store that holds nothing: the catalog is made first, and at the end there are text's vectors to judge by."""
    code, out, news = trained("--codes", "theirs=theirs.json", "--seeds", "1", "2", "--json", "--cutoffs", "10")
    assert code == 0, news
    found = json.loads(out, parse_constant=pytest.fail)
    compared = found["recommenders"]
    assert (found["catalog"], list(found["indexes"])) == ("catalog/shop/1", ["shop", "theirs"])
    assert found["indexes"]["theirs"]["distinct"] == 1
    assert all("text neighbours" in figures for figures in found["indexes"].values())
    assert ["next by vector" in figures for figures in found["indexes"].values()] == [True, False]
    assert compared["seeds"] == {"shop": 2, "theirs": 2}
    assert compared["samples"] == 80
    power = compared["rules"]["excluded"]["power"]["theirs"]
    assert power["between_seeds"] > 0
    assert "NDCG@10" in compared["rules"]["excluded"]["comparisons"]["theirs"]
    store = Store(Place.of(tmp_path / "store"))
    one, two, theirs = (
        read_record(store.place(Address("model", f"shop{end}", "1"))) for end in ("-1", "-2", "-theirs-1")
    )
    assert one.inputs["codes"]["fingerprint"] == two.inputs["codes"]["fingerprint"]
    assert one.inputs["codes"]["fingerprint"] != theirs.inputs["codes"]["fingerprint"]
    assert (one.config["training"]["seed"], two.config["training"]["seed"]) == (1, 2)
    ranked = [f"metrics/shop{end}/1" for end in ("-1", "-2", "-theirs-1")]
    again = ["judge", "--store", str(tmp_path / "store"), "--json", "--metrics"]
    assert cli.main([*again, *ranked[:2]]) == 0
    assert json.loads(capsys.readouterr().out)["seeds"] == {"tiger": 2, "popularity": 2}
    assert cli.main([*again, *ranked[1:]]) == 1
    assert "metrics/shop-2/1, metrics/shop-theirs-1/1 differ in more than their seeds (" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--codes", "a=theirs.json", "--seeds", "1", "1"), "--seeds: 1, 1; must be different"),
        (
            ("--codes", "shop=theirs.json"),
            "--codes: 'shop' is what the recipe's own ids are called; give these another",
        ),
        (("--codes", "a=theirs.json", "--catalog", "catalog/b/1"), "it is the recipe's, catalog/shop/1; leave it out"),
        (("--codes", "a=short.json"), "has no semantic id for 59 of 60 items of catalog/shop/1"),
    ],
    ids=["a seed twice", "the recipe's name", "another catalog", "ids that lack items"],
)
def test_what_cannot_be_trained_on_is_refused_before_anything_is(trained, tmp_path, words, message):
    code, _, complaint = trained(*words)
    assert code == 1
    assert message in complaint
    assert not (tmp_path / "store" / "model").exists()


def test_seeds_are_of_what_is_learned_on_ids_alone(tmp_path):
    recipe = shop.recipe("items.parquet", "rows.parquet")
    assert by_seed(recipe, ()) == [recipe]
    one, two = by_seed(recipe, (1, 2))
    assert (one.name, two.name) == ("shop-1", "shop-2")
    assert (one.codes, one.graph, one.catalog, one.metrics) == (
        recipe.codes,
        recipe.graph,
        recipe.catalog,
        recipe.metrics,
    )
    assert (two.model.training.seed, two.sequences.seed) == (2, 2)
