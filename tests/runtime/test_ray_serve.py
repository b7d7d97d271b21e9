"""Batches over requests in Serve's local testing mode; the whole over HTTP on a real Ray Serve."""

from types import SimpleNamespace

import pytest
from ray import serve

from tests.recommenders import N
from tests.serving import shop
from unisid.artifacts.store import Address
from unisid.errors import ArtifactError, ConfigError
from unisid.runtime import ray_serve
from unisid.serving.answers import Problem, Query, answers


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return shop.store(tmp_path_factory.mktemp("ray_serve"), 1, 2)


def of_version(store, version):
    """The pair of a version, loaded here."""
    addresses = {"catalog": "catalog/ring/1", "codes": f"codes/ring/{version}", "model": f"model/ring/{version}"}
    return shop.load({noun: store.place(Address.parse(text)) for noun, text in addresses.items()}, None)


def arguments(store, **serving):
    return {"source": {"store": store.root.uri, "model": "model/ring/1"}, "serving": serving}


def test_rows_of_several_requests_share_a_batch(store, monkeypatch):
    sizes = []

    def counted(rows, by_pair=ray_serve.by_pair):
        sizes.append(len(rows))
        return by_pair(rows)

    monkeypatch.setattr(ray_serve, "by_pair", counted)
    # Serve's batches read the replica's settings, which its local testing mode leaves out
    settings = SimpleNamespace(max_ongoing_requests=100)
    context = SimpleNamespace(_deployment_config=settings, app_name="a", deployment="d", replica_tag="r")
    monkeypatch.setattr(serve.context, "_INTERNAL_REPLICA_CONTEXT", context)
    queries = [Query(history=shop.ids(item, item + 1), k=4) for item in range(7)] + [Query(history=None)]
    handle = serve.run(ray_serve.build(arguments(store, batch_size=8, batch_wait=10.0)), _local_testing_mode=True)
    found = [handle.answer.remote([query]) for query in queries]
    pair = of_version(store, "1")
    for response, expected in zip(found, answers(pair, queries), strict=True):
        (got,) = response.result()
        if isinstance(expected, Problem):
            assert got == expected
        else:
            assert got.items.tolist() == expected.items.tolist()
    assert sizes == [8]


def test_rows_of_two_pairs_are_ranked_by_their_own(store, monkeypatch):
    first, second = of_version(store, "1"), of_version(store, "2")
    query = Query(history=shop.ids(1, 2), k=N - 2)
    found = ray_serve.by_pair([(first, query), (second, query), (first, query)])
    expected = [answers(each, [query])[0].items.tolist() for each in (first, second)]
    assert [row.items.tolist() for row in found] == [expected[0], expected[1], expected[0]]
    assert expected[0] != expected[1]

    def broken(pair, rows):
        if pair is second:
            raise ArtifactError("damaged")
        return answers(pair, rows)

    monkeypatch.setattr(ray_serve, "answers", broken)
    found = ray_serve.by_pair([(first, query), (second, query)])
    assert found[0].items.tolist() == expected[0]
    assert isinstance(found[1], ArtifactError)


def test_wrong_settings_are_refused_before_anything_starts(store):
    with pytest.raises(ConfigError, match=r"serving.batch_size: is 0"):
        ray_serve.build(arguments(store, batch_size=0))
    with pytest.raises(ConfigError, match="no field 'batch'"):
        ray_serve.build(arguments(store, batch=3))
    with pytest.raises(ConfigError, match="no field 'shop'"):
        ray_serve.build({"source": {"shop": "x"}})
