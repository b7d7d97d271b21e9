"""The pair in use follows the registry: whole, or not at all; on a real MLflow over SQLite."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from tests.lines import logged
from tests.runtime.stores import mlflow_at
from tests.serving import ring_pair
from unisid.errors import ArtifactError, ConfigError
from unisid.runtime import promotion
from unisid.runtime.follower import Follower, Source
from unisid.runtime.registry import CANDIDATE, CHAMPION, index_of, recommender_of
from unisid.serving import mapped
from unisid.serving.settings import Serving


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A store with two versions, registered in this order under 'shop'; the versions in the registry."""
    folder = tmp_path_factory.mktemp("in_use")
    store = ring_pair.store(folder / "store", 1, 2)
    uri = f"sqlite:///{folder}/mlflow.db"
    with mlflow_at(uri):
        client = MlflowClient(uri, uri)
        experiment = client.create_experiment("e", artifact_location=(folder / "files").as_uri())
        yield store, client, [ring_pair.registered(client, experiment, store, version) for version in (1, 2)]


def give(client, index, recommender):
    client.set_registered_model_alias(index_of("shop"), CHAMPION, index)
    client.set_registered_model_alias(recommender_of("shop"), CHAMPION, recommender)


@pytest.fixture
def follower(world):
    store, client, versions = world
    give(client, *versions[0])
    used, refused = [], []
    found = Follower(Source(store.root.uri, "shop"), Serving(), used.append, refused.append)
    found.used, found.refused = used, refused
    return found


def test_the_promoted_pair_is_used_and_the_next_one_after_it(world, follower):
    _, client, versions = world
    assert follower.look()
    assert not follower.look()
    assert [pair.versions.model for pair in follower.used] == ["model/ring/1"]
    assert follower.pair.versions.index_fingerprint == follower.pair.codes.record.fingerprint
    give(client, *versions[1])
    assert follower.look()
    assert [pair.versions.index for pair in follower.used] == ["codes/ring/1", "codes/ring/2"]
    give(client, *versions[0])  # back
    assert follower.look()
    assert follower.pair.versions.model == "model/ring/1"
    assert set(follower.refused) == {""}


def test_its_search_keeps_as_many_prefixes_as_the_settings_say(world):
    store, client, versions = world
    give(client, *versions[0])
    source = Source(store.root.uri, "shop")
    for settings, beams in ((Serving(), 50), (Serving(beams=(7, 4)), (7, 4))):
        found = Follower(source, settings, lambda pair: None)
        assert found.look()
        assert found.pair.recommender.beams == beams


def test_half_a_promotion_is_refused_until_it_is_whole(world, follower):
    _, client, versions = world
    follower.look()
    client.set_registered_model_alias(index_of("shop"), CHAMPION, versions[1][0])
    assert not follower.look()
    assert "its recommender belongs to another index" in follower.refused[-1]
    assert follower.pair.versions.model == "model/ring/1"
    client.set_registered_model_alias(recommender_of("shop"), CHAMPION, versions[1][1])
    assert follower.look()
    assert (follower.pair.versions.model, follower.refused[-1]) == ("model/ring/2", "")


def test_what_the_store_lacks_is_refused_with_its_name(world, tmp_path):
    _, client, versions = world
    give(client, *versions[1])
    other = ring_pair.store(tmp_path / "other", 1)
    refused = []
    follower = Follower(Source(other.root.uri, "shop"), Serving(), lambda pair: None, refused.append)
    assert not follower.look()
    assert "model/ring/2" in refused[-1]
    assert "is not in" in refused[-1]
    with pytest.raises(ArtifactError, match="'lost' has index version -, recommender version - in use; .*no model"):
        Follower(Source(other.root.uri, "lost"), Serving(), lambda pair: None).check()


def test_the_newest_pair_of_a_name_answers_until_one_is_promoted(world, monkeypatch):
    store, client, versions = world
    used, refused = [], []
    follower = Follower(Source(store.root.uri, "ring"), Serving(), used.append, refused.append)
    follower.check()
    with logged() as said:
        assert follower.look()
    assert said == ["warning: no pair is promoted under 'ring': model/ring/2 answers until one is"]
    assert [(pair.versions.model, pair.versions.index, pair.versions.model_version) for pair in used] == [
        ("model/ring/2", "codes/ring/2", "")
    ]
    assert not follower.look()
    client.rename_registered_model(index_of("shop"), index_of("ring"))
    client.rename_registered_model(recommender_of("shop"), recommender_of("ring"))
    try:
        for name, version in zip((index_of("ring"), recommender_of("ring")), versions[0], strict=True):
            client.set_registered_model_alias(name, CHAMPION, version)
        assert follower.look()
        assert (used[-1].versions.model, used[-1].versions.model_version) == ("model/ring/1", versions[0][1])
        client.delete_registered_model_alias(recommender_of("ring"), CHAMPION)
        assert not follower.look()  # what was promoted stays
        assert "has index version 1, recommender version - in use" in refused[-1]
    finally:
        client.rename_registered_model(index_of("ring"), index_of("shop"))
        client.rename_registered_model(recommender_of("ring"), recommender_of("shop"))


def test_a_version_that_was_not_registered_by_unisid_is_refused(world, follower):
    _, client, versions = world
    follower.look()
    source = client.get_model_version(index_of("shop"), versions[0][0]).source
    strange = [client.create_model_version(name, source).version for name in (index_of("shop"), recommender_of("shop"))]
    give(client, *strange)
    assert not follower.look()
    assert "does not say which model it holds" in follower.refused[-1]


def test_a_table_of_columns_is_read_again_when_it_changes(world, tmp_path):
    store, _, _ = world
    path = tmp_path / "facts.parquet"
    pq.write_table(pa.table({"item_id": ["id-1"], "price": [3.0]}), path)
    settings = Serving(columns=str(path), partitions=("cheap=price < 5",))
    used, refused = [], []
    follower = Follower(Source(store.root.uri, model="model/ring/1"), settings, used.append, refused.append)
    assert follower.look()
    assert not follower.look()
    assert follower.pair.filters.partition("cheap").sum() == 1
    pq.write_table(pa.table({"item_id": ["id-1", "id-2", "id-3"], "price": [3.0, 4.0, 9.0]}), path)
    assert follower.look()
    assert follower.pair.filters.partition("cheap").sum() == 2
    assert used[0].recommender is used[1].recommender
    pq.write_table(pa.table({"item_id": ["id-1"], "cost": [3.0]}), path)
    assert not follower.look()
    assert "partition 'cheap'" in refused[-1]
    assert follower.pair.filters.partition("cheap").sum() == 2


def test_a_source_is_a_name_or_a_recommender():
    for wrong in ({}, {"name": "shop", "model": "model/ring/1"}, {"name": "shop", "codes": "codes/ring/1"}):
        with pytest.raises(ConfigError, match="serve: "):
            Source("runs", **wrong)


def test_a_server_that_is_away_and_a_name_that_it_cannot_have_are_refused_before_anything_is_loaded(world, monkeypatch):
    store, _, _ = world
    for name in ("a/b", "a:b", "it's", "a\nb"):
        with pytest.raises(
            ConfigError, match="registered name 'a|registered name 'it's': has .* in it; must be such as"
        ):
            Follower(Source(store.root.uri, name), Serving(), lambda pair: None).check()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(ArtifactError, match="serve: MLflow: cannot be reached"):
        Follower(Source(store.root.uri, "shop"), Serving(), lambda pair: None).check()


def test_a_withdrawn_pair_is_not_loaded_again_and_its_aliases_move_back(world, follower):
    _, client, versions = world
    first, second = (promotion.Pair(*pair) for pair in versions)
    registered = promotion.Registered(client, "shop")
    registered.give(promotion.PREVIOUS, first)
    give(client, *versions[1])
    assert follower.look()
    follower.withdraw(follower.used[-1], "all rows failed")
    assert registered.pair(CHAMPION) == first
    assert registered.tags(recommender_of("shop"), second.recommender)["withdrawn"] == "all rows failed"
    follower.withdraw(follower.used[-1], "all rows failed")  # another replica, later: forward again it goes not
    assert registered.pair(CHAMPION) == first
    assert follower.look()
    assert follower.pair.versions.model == "model/ring/1"
    give(client, *versions[1])  # by hand
    assert not follower.look()
    assert "which was withdrawn: all rows failed" in follower.refused[-1]


def test_a_candidate_is_tried_until_it_is_promoted_or_dismissed(world):
    store, client, versions = world
    give(client, *versions[0])
    tried = []
    follower = Follower(Source(store.root.uri, "shop"), Serving(shadow=0.5), lambda pair: None, try_out=tried.append)

    def candidate(index, recommender):
        client.set_registered_model_alias(index_of("shop"), CANDIDATE, index)
        client.set_registered_model_alias(recommender_of("shop"), CANDIDATE, recommender)

    candidate(*versions[1])
    assert follower.look()
    assert not follower.look()
    assert [pair.versions.model for pair in tried] == ["model/ring/2"]
    candidate(versions[0][0], versions[1][1])  # a recommender of another index
    assert follower.look()
    assert tried[-1] is None
    candidate(*versions[1])
    follower.look()
    give(client, *versions[1])
    assert follower.look()
    assert tried[-1] is None
    give(client, *versions[0])
    follower.look()
    assert tried[-1].versions.model == "model/ring/2"
    follower.dismiss(tried[-1], "slow")
    registered = promotion.Registered(client, "shop")
    assert registered.pair(CANDIDATE) == promotion.Pair(None, None)
    assert registered.tags(recommender_of("shop"), versions[1][1])["withdrawn"] == "slow"
    candidate(*versions[1])
    assert not follower.look()  # it was dismissed


def test_files_of_a_pair_go_when_another_one_is_used(world, monkeypatch, tmp_path):
    store, client, versions = world
    monkeypatch.setattr(mapped.tempfile, "gettempdir", lambda: str(tmp_path))
    give(client, *versions[0])
    follower = Follower(Source(store.root.uri, "shop"), Serving(), lambda pair: None)
    assert follower.look()
    (first,) = mapped.here().iterdir()
    give(client, *versions[1])
    assert follower.look()
    (second,) = mapped.here().iterdir()
    assert first != second
    again = Follower(Source(store.root.uri, "shop"), Serving(), lambda pair: None)
    assert again.look()  # another server of this machine
    assert [second] == [*mapped.here().iterdir()]
    follower.pair = None
    assert [second] == [*mapped.here().iterdir()]
    again.pair = None
    assert [*mapped.here().iterdir()] == []
