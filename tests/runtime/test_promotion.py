"""What is in use, on a real MLflow over SQLite: promoted as a pair, refused with the figures, rolled back."""

import json
from dataclasses import replace

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from tests.lines import logged
from tests.recommenders import stored
from tests.runtime.stores import mlflow_at
from tests.versions import shop
from unisid.api.recommender import Recommender
from unisid.artifacts.record import require
from unisid.artifacts.store import Address, Place, Store
from unisid.cli import main
from unisid.errors import ArtifactError, ConfigError, DataError
from unisid.in_use import Index, index_in_use, pair_in_use
from unisid.runtime import registry
from unisid.runtime.promotion import PREVIOUS, Pair, Registered, in_use, promote, roll_back
from unisid.runtime.registry import CANDIDATE, CHAMPION
from unisid.runtime.tracking import Tracker
from unisid.versions.extend import extended

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Version 1 with its recommender, version 2 that extends its index, and 'b' with other codebooks."""
    folder = tmp_path_factory.mktemp("promotion")
    store = Store(Place.of(folder / "store"))
    recipe = shop.recipe(shop.items(folder, shop.ITEMS), shop.interactions(folder))
    shop.make(recipe, store, "model")
    wider = replace(recipe.codes, tokenizer=replace(recipe.codes.tokenizer, codebook_size=6))
    shop.make(replace(recipe, version="b", codes=wider), store, "model")
    dataset = replace(recipe.catalog.dataset, items=shop.items(folder, shop.ITEMS + shop.NEW, "more"))
    larger = replace(recipe, catalog=replace(recipe.catalog, dataset=dataset, keep_cold_items=True))
    shop.make(extended(larger, store, shop.at("codes"), "2"), store)
    return store


@pytest.fixture
def told(tmp_path):
    """A fresh MLflow."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with mlflow_at(uri):
        yield Tracker(uri)


def at(text):
    return Address.parse(text)


def put(told, store, codes=None, model=None, **gate):
    addresses = (None if text is None else at(text) for text in (codes, model))
    return promote(told, store, *addresses, "shop", gate)


def champions(told):
    return in_use(told, "shop")[CHAMPION]


def test_a_pair_goes_into_use_and_an_extended_index_takes_its_recommender_along(told, store):
    assert put(told, store, "codes/shop/1", "model/shop/1") == Pair("1", "1") == champions(told)
    assert put(told, store, "codes/shop/2") == Pair("2", "2") == champions(told)
    assert put(told, store, "codes/shop/2") == Pair("2", "2")  # again: nothing is registered twice
    assert in_use(told, "shop")[PREVIOUS] == Pair("1", "1")
    served = mlflow.pyfunc.load_model("models:/shop-recommender@champion")
    answer = served.predict(pd.DataFrame({"history": [["i3", "i70"]]}), params={"k": 50})
    assert len(served.unwrap_python_model().item_ids) == shop.ITEMS + shop.NEW
    assert len(answer["item_ids"][0]) == 50
    tags = MlflowClient(tracking_uri=told.uri).get_model_version_by_alias("shop-recommender", CHAMPION).tags
    assert tags["lineage.codes"].startswith("codes/shop/2 ")
    assert tags["lineage.model"].startswith("model/shop/1 ")
    base = require(store.place(at("codes/shop/1")), "codes")
    assert tags["lineage.base"] == f"codes/shop/1 {base.fingerprint}"


def test_one_command_goes_back_and_again_forward(told, store):
    with pytest.raises(DataError, match="nothing was in use under 'shop' before"):
        roll_back(told, "shop")
    put(told, store, "codes/shop/1", "model/shop/1")
    with pytest.raises(DataError, match="nothing was in use under 'shop' before index version 1"):
        roll_back(told, "shop")
    put(told, store, "codes/shop/b", "model/shop/b")
    assert roll_back(told, "shop") == Pair("1", "1") == champions(told)
    assert in_use(told, "shop")[PREVIOUS] == Pair("2", "2")
    assert roll_back(told, "shop") == Pair("2", "2") == champions(told)


def test_a_way_back_to_no_recommender_leaves_none(told, store):
    assert put(told, store, "codes/shop/1") == Pair("1", None)
    assert put(told, store, model="model/shop/1") == Pair("1", "1")
    assert roll_back(told, "shop") == Pair("1", None) == champions(told)


def test_what_does_not_fit_together_is_refused(told, store):
    with pytest.raises(DataError, match="shop-index has no champion; promote an index first"):
        put(told, store, model="model/shop/1")
    with pytest.raises(ArtifactError, match="was trained on the codes codes/shop/1"):
        put(told, store, "codes/shop/b", "model/shop/1")
    assert champions(told) == Pair(None, None)
    put(told, store, "codes/shop/1", "model/shop/1")
    with pytest.raises(DataError, match=r"model/shop/b is for codes/shop/b .* the champion index is codes/shop/1"):
        put(told, store, model="model/shop/b")
    with pytest.raises(DataError, match=r"version 1, was trained on codes/shop/1, which codes/shop/b does not extend"):
        put(told, store, "codes/shop/b")
    with pytest.raises(ArtifactError, match="no complete codes here"):
        put(told, store, "codes/shop/9")
    assert champions(told) == Pair("1", "1")
    assert in_use(told, "shop")[CANDIDATE] == Pair("1", "1")  # what is refused is not registered


def test_an_index_below_its_gate_is_refused_with_the_figures(told, store):
    put(told, store, "codes/shop/1", "model/shop/1")
    with pytest.raises(DataError, match=r"distinct_share is 0\.\d+, the gate requires 1\.000; entropy of level 1 is"):
        put(told, store, "codes/shop/2", distinct=1.0, usage=1.0, entropy=1.0)
    assert champions(told) == Pair("1", "1")


def test_a_record_without_a_gate_and_a_name_that_mlflow_cannot_have_are_refused(told, tmp_path):
    plain = stored(tmp_path)
    with pytest.raises(ArtifactError, match=r"record.json: is not the record of an index with its gate .*'gate'"):
        promote(told, plain, at("codes/ring/1"), None, "shop", {})
    with pytest.raises(ConfigError, match=r"registered name 'a/b': has '/' in it; must be such as shop or my-shop"):
        promote(told, plain, at("codes/ring/1"), None, "a/b", {})


def test_a_promotion_that_was_cut_short_is_completed_by_the_same_command(told, store, monkeypatch):
    put(told, store, "codes/shop/1", "model/shop/1")
    point = MlflowClient.set_registered_model_alias

    def dies(client, name, alias, version):
        if (name, alias) == ("shop-recommender", CHAMPION):
            raise MlflowException("the server went away")
        point(client, name, alias, version)

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", dies)
    with pytest.raises(ArtifactError, match=r"\(the server went away\); give the command again"):
        put(told, store, "codes/shop/b", "model/shop/b")
    monkeypatch.undo()
    half = champions(told)
    assert half == Pair("2", "1")
    assert not Registered(told.client, "shop").fits(half)
    assert put(told, store, "codes/shop/b", "model/shop/b") == Pair("2", "2") == champions(told)
    assert roll_back(told, "shop") == Pair("1", "1")


def test_a_first_recommender_is_champion_only_beside_its_index(told, store):
    with told.pipeline("by hand", {}, {}):
        run = told.parent
    places = {v: {n: store.place(at(f"{n}/shop/{v}")) for n in ("codes", "model")} for v in ("1", "b")}
    for found in places.values():
        found["catalog"] = store.place(at("catalog/shop/1"))
    list(registry.register(told.client, run, "shop", {n: places["1"][n] for n in ("codes", "catalog")}))
    list(registry.register(told.client, run, "shop", places["b"]))
    assert champions(told) == Pair("1", None)
    list(registry.register(told.client, run, "shop", places["1"]))
    assert champions(told) == Pair("1", "2")


def test_a_server_that_is_away_promotes_nothing(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    away = Tracker("http://127.0.0.1:9")
    with pytest.raises(ArtifactError, match="nothing was promoted"):
        put(away, store, "codes/shop/1")
    with pytest.raises(ArtifactError, match="cannot be reached"):
        in_use(away, "shop")


def test_on_the_command_line(told, store, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", told.uri)
    where = ["--store", str(store.root)]
    assert main(["promote", "codes/shop/1", "model/shop/1", *where]) == 0
    assert "in use under 'shop': index version 1, recommender version 1" in capsys.readouterr().out
    assert main(["promote", "codes/shop/2", "--distinct", "1", *where]) == 1
    assert "the gate requires 1.000" in capsys.readouterr().err
    assert main(["promote", "--status", "shop", *where]) == 0
    assert "champion   index version 1, recommender version 1" in capsys.readouterr().out
    assert main(["promote", "--status", "shop", "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out)["champion"] == {"index": "1", "recommender": "1"}
    assert main(["promote", "codes/shop/2", *where]) == 0
    capsys.readouterr()
    assert main(["promote", "--rollback", "shop", "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "shop", "index": "1", "recommender": "1"}
    assert champions(told) == Pair("1", "1")
    for wrong in ([], ["catalog/shop/1"], ["codes/shop/1", "codes/shop/2"]):
        assert main(["promote", *wrong, *where]) == 1
        assert "must be an index (codes/NAME/VERSION)" in capsys.readouterr().err


def index(store, name=None):
    return str(index_in_use(store, name).codes.address)


def test_commands_use_what_is_promoted_and_else_the_newest_and_say_which(told, store, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", told.uri)
    with logged() as said:
        newest = pair_in_use(store, "shop")
    assert (str(newest.model.address), newest.why) == ("model/shop/b", "the newest of 2 recommenders")
    assert said == ["model/shop/b with codes/shop/b (the newest of 2 recommenders) answers"]
    assert index(store, "shop") == "codes/shop/b"  # the pair's, though codes/shop/2 is newer
    put(told, store, "codes/shop/1", "model/shop/1")
    with logged() as said:
        pair = pair_in_use(store, None)
    assert (str(pair), pair.name) == ("model/shop/1 with codes/shop/1 (promoted under 'shop')", "shop")
    assert said == [f"{pair} answers"]
    with logged() as said:
        found = index_in_use(store, None)
    assert found == Index(pair.codes, pair.model, pair.why)
    assert said == ["codes/shop/1 with model/shop/1 (promoted under 'shop') answers"]
    put(told, store, "codes/shop/2")
    pair = pair_in_use(store, "shop")
    assert [str(place.address) for place in (pair.model, pair.codes)] == ["model/shop/1", "codes/shop/2"]
    where = ["--store", str(store.root)]
    assert main(["recommend", "--history", "i70", "--k", "3", *where]) == 0  # which only the index in use has
    assert "model/shop/1 with codes/shop/2 (promoted under 'shop') answers" in capsys.readouterr().err
    assert main(["sid", "i70", "--json", *where]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["codes"], answer["model"]) == ("codes/shop/2", "model/shop/1")
    found = Recommender.load("shop", store, device="cpu")
    assert found.catalog.num_items == shop.ITEMS + shop.NEW


def test_of_several_names_the_one_promoted_last_answers_and_none_that_only_began(told, store, monkeypatch):
    """A trial's first recommender is its name's champion because it is the first: the shop's pair stays in use."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", told.uri)
    with told.pipeline("trial", {}, {}):
        run = told.parent
    trial = {noun: store.place(at(f"{noun}/shop/b")) for noun in ("codes", "model")}
    trial["catalog"] = store.place(at("catalog/shop/1"))
    list(registry.register(told.client, run, "trial", trial))
    assert (pair_in_use(store, None).name, index(store)) == ("trial", "codes/shop/b")
    put(told, store, "codes/shop/1", "model/shop/1")
    list(registry.register(told.client, run, "later", trial))
    pair = pair_in_use(store, None)
    assert (pair.name, pair.why, index(store)) == ("shop", "promoted under 'shop', the last of 3 names", "codes/shop/1")
    promote(told, store, at("codes/shop/b"), at("model/shop/b"), "trial", {})  # the same pair
    assert (pair_in_use(store, None).name, index(store, "shop")) == ("trial", "codes/shop/1")
    put(told, store, "codes/shop/2")
    roll_back(told, "shop")
    assert (pair_in_use(store, None).name, index(store)) == ("shop", "codes/shop/1")


def test_what_is_promoted_under_a_name_of_its_own_is_found_by_it(told, store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", told.uri)
    promote(told, store, at("codes/shop/1"), at("model/shop/1"), "window", {})
    assert str(pair_in_use(store, "window")) == "model/shop/1 with codes/shop/1 (promoted under 'window')"


def test_what_is_promoted_in_another_store_is_left_aside(told, store, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", told.uri)
    promote(told, store, at("codes/shop/1"), at("model/shop/1"), "ring", {})
    other = stored(tmp_path / "other")
    with logged() as said:
        assert index(other, "ring") == "codes/ring/1"
    assert said[0].startswith("warning: codes/shop/1 (") or said[0].startswith("warning: model/shop/1 (")
    assert "promoted under 'ring', is not in" in said[0]
    with logged() as said:
        assert index(other) == "codes/ring/1"
    assert said == ["codes/ring/1 with model/ring/1 (the newest) answers"]  # what others promote elsewhere is theirs


def test_where_mlflow_is_away_the_newest_is_used(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    for name, what in (("shop", "what is promoted under 'shop'"), (None, "what is promoted")):
        with logged() as said:
            assert pair_in_use(store, name).why == "the newest of 2 recommenders"
        assert f"{what} cannot be known, the newest is used" in said[0]
