"""Batches over requests in Serve's local testing mode; the whole over HTTP on a real Ray Serve."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from ray import serve
from starlette.testclient import TestClient

from tests.serving import ring_pair
from unisid.artifacts.store import Address
from unisid.errors import ConfigError
from unisid.runtime import ray_serve
from unisid.runtime.http import batches
from unisid.serving.answers import Problem, Query, answers


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ring_pair.store(tmp_path_factory.mktemp("ray_serve"), 1, 2)


def of_version(store, version):
    """The pair of a version, loaded here."""
    addresses = {"catalog": "catalog/ring/1", "codes": f"codes/ring/{version}", "model": f"model/ring/{version}"}
    return ring_pair.load({noun: store.place(Address.parse(text)) for noun, text in addresses.items()}, None)


def arguments(store, **serving):
    return {"source": {"store": store.root.uri, "model": "model/ring/1"}, "serving": serving}


@pytest.fixture
def sizes(monkeypatch):
    """Sizes of the batches that are ranked."""
    found = []

    def counted(rows, by_pair=batches.by_pair):
        found.append(len(rows))
        return by_pair(rows)

    monkeypatch.setattr(batches, "by_pair", counted)
    return found


def test_rows_of_several_http_requests_share_a_batch(store, sizes):
    """The replica's own application, as Serve builds it, without a cluster around it."""
    bound = ray_serve.build(arguments(store, batch_size=6, batch_wait=10.0))._bound_deployment
    replica = object.__new__(bound.func_or_class)
    asyncio.run(replica.__init__(*bound.init_args))
    histories = [[item, item + 1] for item in range(6)]
    items, _ = of_version(store, "1").recommender.rank(histories, 4)
    with TestClient(replica.__serve_build_asgi_app__()) as client, ThreadPoolExecutor(3) as callers:
        bodies = [{"histories": [ring_pair.ids(*row) for row in histories[at : at + 2]], "k": 4} for at in (0, 2, 4)]
        found = list(callers.map(lambda body: client.post("/recommend", json=body), bodies))
        figures = client.get("/metrics").text
    rows = [row for answer in found for row in answer.json()["answers"]]
    assert [[item["item_id"] for item in row["items"]] for row in rows] == [
        ring_pair.ids(*numbers) for numbers in items
    ]
    assert sizes == [6]
    assert "unisid_batch_rows_sum 6.0" in figures
    replica.follower.stop()


def test_rows_of_several_requests_share_a_batch(store, sizes):
    queries = [Query(history=ring_pair.ids(item, item + 1), k=4) for item in range(7)] + [Query(history=None)]
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


def test_wrong_settings_are_refused_before_anything_starts(store):
    with pytest.raises(ConfigError, match=r"serving.batch_size: is 0"):
        ray_serve.build(arguments(store, batch_size=0))
    with pytest.raises(ConfigError, match="no field 'batch'"):
        ray_serve.build(arguments(store, batch=3))
    with pytest.raises(ConfigError, match="no field 'shop'"):
        ray_serve.build({"source": {"shop": "x"}})
