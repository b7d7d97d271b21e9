"""An index made anew under the old names: what moves is counted, and the old recommender is trained further."""

import contextlib
from dataclasses import replace

import pytest
import torch

from tests.lines import logged
from tests.versions import shop
from unisid.artifacts.codes import Codes
from unisid.artifacts.model import WEIGHTS, Model
from unisid.artifacts.store import Store
from unisid.artifacts.weights import read_weights
from unisid.backbones import hierarchical
from unisid.errors import ArtifactError, ConfigError
from unisid.pipeline import NullTracker
from unisid.runtime.local import LocalCompute
from unisid.training.loop import Training
from unisid.versions.extend import extended
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
    given = today, store, shop.at("codes"), "2", shop.at("model"), machines, NullTracker()
    certified = refresh(*given, certify_only=True)
    assert not store.addresses("model")[1:]
    assert "recommender" not in certified
    assert f"going on from it takes {today.model.training.epochs} at most" in table(certified)
    with logged():
        found = refresh(*given)
    assert found["certificate"] == certified["certificate"]
    told, codes = found["certificate"], Codes.read(store.place(shop.at("codes", "2")))
    assert (told["shared"], told["added"], told["gone"]) == (60, 5, 0)
    assert told["kept"][0] == 1 - told["moved"][0]
    assert told["kept"] == sorted(told["kept"], reverse=True)
    assert told["kept"][0] > 0.5  # at random: a fifth
    assert told["same_sizes"]
    assert codes.refreshes["of"] == "codes/shop/1"
    assert 0 <= told["ndcg_unchanged"] <= 1
    low, high = told["predicted_loss_interval"]
    assert low <= told["predicted_loss"] <= high
    assert found["recommender"] == "model/shop/2"
    shown = table(found)
    assert "codes/shop/2 is named after codes/shop/1: 60 items in both, 5 added, 0 gone" in shown
    assert "on its own index (a loss of" in shown
    assert "went on from it" in shown
    judged = found["judged"]
    assert judged["of"] == "model/shop/1"
    assert judged["new"]["mean"] == pytest.approx(found["means"]["excluded"]["NDCG@10"])
    assert judged["difference"]["difference"] == pytest.approx(judged["new"]["mean"] - judged["old"]["mean"])
    assert f"beside model/shop/1, today's test samples, paired: {judged['why']}" in shown
    with pytest.raises(ArtifactError, match="load it with the index it was trained on"):
        Model.read(old["model"], codes)
    assert Model.read(old["model"], codes, goes_on=True)


def test_what_a_recommender_over_items_learned_of_an_item_follows_it(place, tmp_path):
    """From an index that was extended since; in the catalog made anew items have other numbers."""
    store = Store(place)
    first = shop.recipe(shop.items(tmp_path, shop.ITEMS), shop.interactions(tmp_path))
    backbone = hierarchical.Config(width=16, feedforward_width=16, content_width=8)
    first = replace(first, model=replace(first.model, backbone=backbone))
    old = shop.make(first, store, "model")
    more = shop.items(tmp_path, shop.ITEMS + 5, "more"), shop.interactions(tmp_path, shop.ITEMS + 5, name="later")
    today = shop.recipe(*more)
    today = replace(today, model=replace(first.model, training=Training(epochs=1, learning_rate=1e-12)))
    kept = replace(today, catalog=replace(today.catalog, keep_cold_items=True))
    shop.make(extended(kept, store, shop.at("codes"), "2"), store)
    with logged():
        told = refresh(today, store, shop.at("codes", "2"), "3", shop.at("model"), machines, NullTracker())
    assert told["certificate"]["shared"] == 65
    assert 0 <= told["certificate"]["ndcg_unchanged"] <= 1
    before, after = (store.place(shop.at("catalog", version)) for version in ("1", "3"))
    number = {item: row for row, item in enumerate(shop.catalog_ids(before).to_pylist())}
    was = torch.tensor([number.get(item, -1) for item in shop.catalog_ids(after).to_pylist()])
    assert not torch.equal(was[:60], torch.arange(60))
    trained = read_weights(old["model"], WEIGHTS)
    anew = read_weights(store.place(shop.at("model", "3")), WEIGHTS)
    assert torch.allclose(anew["own.weight"][was >= 0], trained["own.weight"][was[was >= 0]], atol=1e-4)
    assert torch.allclose(anew["embeddings"][was >= 0], trained["embeddings"][was[was >= 0]], atol=1e-2)


def test_what_cannot_be_refreshed_is_refused(place, tmp_path):
    store = Store(place)
    recipe = shop.recipe(shop.items(tmp_path, 20), shop.interactions(tmp_path, 20))
    shop.make(recipe, store, "codes")
    with pytest.raises(ConfigError, match="codes/shop/1 cannot refresh itself; name another version"):
        refresh(recipe, store, shop.at("codes"), "1", None, machines, NullTracker())
    other = shop.recipe(shop.items(tmp_path, 20), shop.interactions(tmp_path, 20), codebook_size=6)
    with logged(), pytest.raises(ConfigError, match=r"codes/shop/1 has levels of \[5, 5, 5\] codes, these settings"):
        refresh(other, store, shop.at("codes"), "2", None, machines, NullTracker())
