"""What two processes do to the registry in the same moment, one step after the other, on SQLite."""

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST

from tests.runtime import stores
from unisid.errors import ArtifactError, DataError
from unisid.runtime import promotion, registry
from unisid.runtime.promotion import PREVIOUS, Pair, Registered
from unisid.runtime.registry import CHAMPION
from unisid.runtime.tracking import tracker

ONE, TWO = Pair("1", "1"), Pair("2", "2")


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return stores.empty_database(tmp_path_factory.mktemp("database"))


@pytest.fixture
def store(tmp_path, database, monkeypatch):
    """A store with an empty database."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(promotion, "PAUSE", 0.0)
    return stores.store_at(tmp_path / "store", database)


@pytest.fixture
def shop(store):
    """Two versions of an index, each with the recommender trained on it."""
    client = tracker(store.root).client
    for model in ("shop-index", "shop-recommender"):
        client.create_registered_model(model)
        for version in ("one", "two"):
            client.create_model_version(model, "nowhere", tags={"lineage.codes": f"codes/shop/1 {version}"})
    return Registered(client, "shop")


@pytest.mark.slow
def test_what_two_processes_register_at_once_is_one_version_the_first(store, monkeypatch):
    first = stores.told(store)
    found, looked = registry.version_of, []

    def slow(*words):  # when this one looked, the other was not there yet
        looked.append(words)
        return None if len(looked) == 1 else found(*words)

    monkeypatch.setattr(registry, "version_of", slow)
    said: list[str] = []
    second = stores.told(store, said)
    assert "registry: shop-index version 1, of a process that was quicker, already holds codes/shop/1" in said
    client = tracker(store.root).client
    (version,) = client.search_model_versions("name = 'shop-index'")
    assert (version.version, version.run_id) == (1, first)
    assert client.get_registered_model("shop-index").aliases == {"candidate": 1, "champion": 1}
    assert not client.get_run(second).outputs.model_outputs
    assert len(client.search_logged_models([client.get_run(second).info.experiment_id])) == 1


@pytest.mark.slow
def test_a_first_version_whose_registration_was_cut_short_begins_when_it_is_registered_again(store):
    stores.told(store)
    client = tracker(store.root).client
    client.delete_registered_model_alias("shop-index", CHAMPION)
    stores.told(store)
    assert client.get_registered_model("shop-index").aliases[CHAMPION] == 1


def test_halves_of_two_pairs_are_put_right_by_the_one_that_looks_last(shop, monkeypatch):
    move, other = Registered._move, [TWO]

    def crossed(registered, alias, pair):
        move(registered, alias, pair)
        if other:
            shop.client.set_registered_model_alias("shop-index", alias, other.pop().index)

    monkeypatch.setattr(Registered, "_move", crossed)
    shop.give(CHAMPION, ONE)
    assert not other
    assert shop.pair(CHAMPION) == ONE


def test_an_alias_that_others_move_for_ever_is_one_clear_error(shop, store, monkeypatch):
    shop.give(CHAMPION, ONE)
    shop.give(PREVIOUS, TWO)
    monkeypatch.setattr(Registered, "pair", lambda registered, alias: Pair("1", "2") if alias == CHAMPION else TWO)
    with pytest.raises(ArtifactError, match="others promote and roll back 'shop' at the same time; give the command"):
        promotion.roll_back(tracker(store.root), "shop")


def test_halves_of_two_pairs_are_no_way_back(shop, store):
    shop.give(CHAMPION, ONE)
    shop._move(PREVIOUS, Pair("2", "1"))
    with pytest.raises(DataError, match="'shop' is being promoted, or that was cut short; give that command again"):
        promotion.roll_back(tracker(store.root), "shop")
    assert shop.pair(CHAMPION) == ONE


@pytest.mark.parametrize("refusals", [1, 9])
def test_an_alias_that_another_adds_in_the_same_moment_is_moved_the_next_time(shop, monkeypatch, refusals):
    point, left = MlflowClient.set_registered_model_alias, [MlflowException("UNIQUE", BAD_REQUEST)] * refusals

    def refused(*words):
        if left:
            raise left.pop()
        point(*words)

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", refused)
    if refusals == 1:
        shop.give(CHAMPION, ONE)
        assert shop.pair(CHAMPION) == ONE
    else:
        with pytest.raises(MlflowException, match="UNIQUE"):
            shop.give(CHAMPION, ONE)
