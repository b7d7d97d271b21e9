"""`unisid.run` and `unisid.plan`: from tables in memory to recommendations."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

import unisid
from tests.lines import logged
from tests.versions import shop
from unisid.api.places import store_of
from unisid.artifacts.catalog import Catalog
from unisid.artifacts.metrics import HISTORY_RULES
from unisid.artifacts.record import require
from unisid.artifacts.store import Address
from unisid.evaluation.groups import ORDER
from unisid.report.examples import examples


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Items and interactions as Arrow tables."""
    folder = tmp_path_factory.mktemp("tables")
    return pq.read_table(shop.items(folder, shop.ITEMS)), pq.read_table(shop.interactions(folder))


def recipe() -> unisid.Recipe:
    """The small shop, whose tables come from elsewhere."""
    return shop.recipe("", "")


@pytest.fixture(scope="module")
def made(tables, tmp_path_factory):
    """A whole run over tables in memory, and what it said."""
    items, interactions = tables
    store = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with logged() as said:
            found = unisid.run(
                recipe,
                store,
                items=items.to_pandas(),
                interactions=pl.from_arrow(interactions),
                settings={"name": "mine"},
                compute="local",
            )
    return found, said


def test_a_run_makes_everything_and_says_how_far_it_is(made):
    run, said = made
    assert set(run.places) == {"catalog", "embeddings", "graph", "fused", "codes", "sequences", "model", "metrics"}
    assert str(run.places["codes"].address) == "codes/mine/1"
    assert "[1/8] catalog/mine/1" in said
    assert Path(run.report).is_file()
    assert "metrics/mine/1" in repr(run)


def test_its_figures_are_a_table(made):
    run, _ = made
    table = run.metrics()
    assert table.column_names == ["method", "history", "metric", "mean", "low", "high"]
    frame = table.to_pandas()
    assert set(frame["history"]) == set(HISTORY_RULES)
    assert frame["mean"].between(frame["low"], frame["high"]).all()
    assert set(frame["method"]) == {"tiger", "popularity"}


def test_its_figures_by_group_are_a_table(made):
    run, _ = made
    frame = run.groups().to_pandas()
    assert run.lists().keys() == {"coverage", "gini", "novelty", "likeness"}
    overall = frame[(frame["group"] == "all") & (frame["method"] == "tiger") & (frame["history"] == "excluded")]
    figures = run.metrics().to_pandas().set_index(["method", "history", "metric"])["mean"]
    own = frame[(frame["method"] == "tiger") & (frame["history"] == "excluded")]["group"].tolist()
    assert own == sorted(own, key=ORDER.index)
    assert overall["NDCG@10"].tolist() == [figures["tiger", "excluded", "NDCG@10"]]
    assert {"method", "history", "group", "samples", "HR@10", "NDCG@10", "MRR@10"} == set(frame.columns)


def test_its_report_shows_histories_beside_recommendations(made):
    """The list is the recommender's own answer to the history before the target."""
    run, _ = made
    catalog = Catalog.read(run.places["catalog"])
    shown = examples(run.places)
    assert len(shown) == 3
    page = Path(run.report).read_text()
    titles, recommender = catalog.titles.to_pylist(), run.recommender(device="cpu")
    for each in shown:
        user = catalog.user_ids.index(each.user).as_py()
        past = catalog.item[catalog.offsets[user] : catalog.offsets[user + 1] - 1].tolist()
        assert each.history == [titles[item] for item in past][-10:]
        ids = [catalog.item_ids[item].as_py() for item in past]
        assert each.recommended == recommender.rank([ids], k=len(each.recommended)).titles[0]
        assert f"User {each.user}</h3>" in page
    assert "Coverage: the share of all items" in page


def test_its_recommender_answers_in_ids(made):
    run, _ = made
    recommender = run.recommender(device="cpu")
    found = recommender.rank(users=["u3"], k=5).to_pandas()
    assert found["item_id"].str.fullmatch(r"i\d+").all()
    assert found["title"].notna().all()
    by_name = unisid.Recommender.load("mine", run.store, device="cpu")  # its first version is promoted by the run
    assert by_name.pair.why == "promoted under 'mine'"
    assert by_name.rank(users=["u3"], k=5).ids == [found["item_id"].tolist()]


def test_the_same_rows_are_the_same_data_whatever_holds_them(made, tables):
    run, _ = made
    items, interactions = tables
    for form in (lambda table: table, lambda table: table.to_pandas(), pl.from_arrow):
        planned = unisid.plan(
            recipe(), run.store, items=form(items), interactions=form(interactions), settings={"name": "mine"}
        )
        assert {entry.state for entry in planned} == {"complete"}


def test_a_file_and_a_table_may_be_mixed(made, tables, tmp_path):
    run, _ = made
    _, interactions = tables
    path = shop.items(tmp_path, shop.ITEMS)
    [planned] = unisid.plan(recipe, run.store, items=path, interactions=interactions, until="catalog")
    assert planned.inputs["items"]["address"] == path


def test_settings_are_dotted_keys_as_on_the_command_line():
    found = unisid.configured(
        "shop",
        {
            "catalog.dataset.title": "name",
            "catalog.k-core": 3,
            "metrics.cutoffs": [5, 10],
            "embeddings.encoder": "hashing",
        },
    )
    assert found.catalog.dataset.title == "name"
    assert (found.catalog.k_core, found.metrics.cutoffs, found.embeddings.encoder.kind) == (3, (5, 10), "hashing")
    for key, message in (
        ("catalog.k_cor", "did you mean 'k_core'|did you mean 'catalog.k_core'"),
        ("k_core", "no key 'k_core'"),
    ):
        with pytest.raises(unisid.ConfigError, match=message):
            unisid.configured("demo", {key: 1})
    with pytest.raises(unisid.ConfigError, match=r"catalog.k_core: is -1|k_core"):
        unisid.configured("demo", {"catalog.k_core": -1})


def test_the_recipe_shop_keeps_every_item_that_has_text(tmp_path):
    """Those that few met, those that no user met, and those with long titles."""
    titles = ["pen", "lamp", "a title of " + "many " * 30 + "words", "never met"]
    items = pd.DataFrame({"item_id": ["1", "2", "3", "4"], "title": titles})
    rows = [("u1", "1", 1), ("u1", "2", 2), ("u1", "3", 3), ("u2", "1", 1), ("u2", "2", 2), ("u2", "1", 3)]
    interactions = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    run = unisid.run(
        "shop",
        tmp_path,
        items=items,
        interactions=interactions,
        until="catalog",
        compute="local",
    )
    counts = require(run.places["catalog"], "catalog").counts
    assert (counts["items"], counts["users"], counts["interactions"]) == (4, 2, 6)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"recipe": "demoo"}, unisid.ConfigError, "recipe 'demoo': not known; did you mean 'demo'"),
        ({"recipe": 7}, unisid.ConfigError, "recipe: is of type int"),
        ({"recipe": "demo", "items": {}, "interactions": {}}, unisid.ConfigError, "reads recbole, no tables.*'shop'"),
        ({"recipe": "shop", "items": {}}, unisid.ConfigError, "interactions is not given; must be both tables"),
        ({"recipe": "shop", "items": 7, "interactions": {}}, unisid.DataError, "items: is of type int"),
        ({"recipe": "shop", "items": "none.csv", "interactions": "x"}, unisid.DataError, "there is no file 'none.csv'"),
        ({"recipe": "shop", "until": "catalogue"}, unisid.ConfigError, "no stage 'catalogue'"),
        ({"recipe": "shop", "store": ""}, unisid.ConfigError, "store '': no folder is named"),
    ],
)
def test_what_is_wrong_is_a_typed_error_and_nothing_is_made(tmp_path, given, error, message):
    words = {"store": tmp_path / "store"} | given
    with pytest.raises(error, match=message):
        unisid.run(**words, compute="local")
    assert not list(tmp_path.glob("store/[a-z]*/*/1"))


def test_unknown_machines_are_refused(tmp_path, tables):
    items, interactions = tables
    with pytest.raises(unisid.ConfigError, match="compute: is 'rey'; did you mean 'ray'"):
        unisid.run(recipe, tmp_path, items=items, interactions=interactions, compute="rey")


def test_a_run_of_other_settings_under_one_name_is_drift(made, tables):
    run, _ = made
    changed = replace(run.recipe, catalog=replace(run.recipe.catalog, seed=7))
    with pytest.raises(unisid.DriftError, match=r"seed: 42 -> 7"):
        unisid.run(changed, run.store, compute="local")


def test_the_store_is_the_environments_where_none_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("UNISID_STORE", str(tmp_path / "mine"))
    assert store_of().root.uri == str(tmp_path / "mine")
    monkeypatch.delenv("UNISID_STORE")
    monkeypatch.chdir(tmp_path)
    assert store_of().root.uri == str(tmp_path / "runs")
    assert store_of(store_of()).place(Address("codes", "a", "1")).uri == str(tmp_path / "runs/codes/a/1")
