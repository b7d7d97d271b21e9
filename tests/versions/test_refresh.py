"""An index made anew under the old names: what moves is counted, and the old recommender is trained further."""

import contextlib
from dataclasses import replace

import pytest

from tests.lines import logged
from tests.versions import shop
from unisid.artifacts.codes import Codes
from unisid.artifacts.model import Model
from unisid.artifacts.store import Store
from unisid.errors import ArtifactError, ConfigError
from unisid.pipeline import NullTracker
from unisid.runtime.local import LocalCompute
from unisid.versions.refresh import refresh, table


def machines():
    return contextlib.nullcontext(LocalCompute())


def test_an_index_is_refreshed_and_its_recommender_goes_on(place, tmp_path):
    store = Store(place)
    first = shop.recipe(shop.items(tmp_path, shop.ITEMS), shop.interactions(tmp_path))
    old = shop.make(first, store, "model")
    more = shop.items(tmp_path, shop.ITEMS + 5, "more"), shop.interactions(tmp_path, shop.ITEMS + 5, name="later")
    today = shop.recipe(*more)
    today = replace(today, codes=replace(today.codes, training=replace(today.codes.training, seed=7)))
    with logged():
        found = refresh(today, store, shop.at("codes"), "2", shop.at("model"), machines, NullTracker())
    told, codes = found["certificate"], Codes.read(store.place(shop.at("codes", "2")))
    assert (told["shared"], told["added"], told["gone"]) == (60, 5, 0)
    assert told["kept"][0] == 1 - told["moved"][0]
    assert told["kept"] == sorted(told["kept"], reverse=True)
    assert told["kept"][0] > 0.5  # at random: a fifth
    assert told["same_sizes"]
    assert codes.refreshes["of"] == "codes/shop/1"
    assert 0 <= told["ndcg_unchanged"] <= 1
    assert found["recommender"] == "model/shop/2"
    shown = table(found)
    assert "codes/shop/2 is named after codes/shop/1: 60 items in both, 5 added, 0 gone" in shown
    assert "went on from it" in shown
    with pytest.raises(ArtifactError, match="load it with the index it was trained on"):
        Model.read(old["model"], codes)
    assert Model.read(old["model"], codes, goes_on=True)


def test_what_cannot_be_refreshed_is_refused(place, tmp_path):
    store = Store(place)
    recipe = shop.recipe(shop.items(tmp_path, 20), shop.interactions(tmp_path, 20))
    shop.make(recipe, store, "codes")
    with pytest.raises(ConfigError, match="codes/shop/1 cannot refresh itself; name another version"):
        refresh(recipe, store, shop.at("codes"), "1", None, machines, NullTracker())
    other = shop.recipe(shop.items(tmp_path, 20), shop.interactions(tmp_path, 20), codebook_size=6)
    with logged(), pytest.raises(ConfigError, match=r"codes/shop/1 has levels of \[5, 5, 5\] codes, these settings"):
        refresh(other, store, shop.at("codes"), "2", None, machines, NullTracker())
