"""The whole over HTTP on a real Ray Serve of two replicas, which follow a registry."""

import json
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from mlflow import MlflowClient
from ray import serve

from tests.recommenders import N
from tests.runtime.stores import mlflow_at
from tests.runtime.test_ray_serve import of_version
from tests.serving import shop
from unisid.runtime import ray_serve
from unisid.runtime.registry import CHAMPION, index_of, recommender_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return shop.store(tmp_path_factory.mktemp("on_ray"), 1, 2)


def call(port, path, body=None):
    """Status, headers and JSON of an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.fixture(scope="module")
def served(store, ray_compute, tmp_path_factory):
    """Two replicas behind HTTP, which follow 'shop'; the port, MLflow's client, the versions in its registry."""
    folder = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{folder}/mlflow.db"
    with mlflow_at(uri), socket.socket() as probe:
        client = MlflowClient(uri, uri)
        experiment = client.create_experiment("e", artifact_location=(folder / "files").as_uri())
        versions = [shop.registered(client, experiment, store, version) for version in (1, 2)]
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        serving = {"replicas": 2, "cpus": 0.5, "poll": 0.2, "batch_wait": 0.005}
        app = ray_serve.build({"source": {"store": store.root.uri, "name": "shop"}, "serving": serving})
        environment = {"env_vars": {"MLFLOW_TRACKING_URI": uri}}
        options = app._bound_deployment.options(ray_actor_options={"num_cpus": 0.5, "runtime_env": environment})
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(options.bind(*app._bound_deployment.init_args), name="shop", route_prefix="/")
        try:
            yield port, client, versions
        finally:
            serve.shutdown()


def test_over_http_answers_are_those_of_rank(store, served):
    port, _, _ = served
    pair = of_version(store, "1")
    histories = [[item, (item + 2) % N] for item in range(N)]
    status, found = call(port, "/recommend", {"histories": [shop.ids(*history) for history in histories], "k": 7})
    assert status == 200
    items, _ = pair.recommender.rank(histories, 7)
    for row, numbers in zip(found["answers"], items, strict=True):
        assert [item["item_id"] for item in row["items"]] == shop.ids(*numbers)
    assert found["pair"]["model_fingerprint"] == pair.versions.model_fingerprint
    assert call(port, "/recommend", {"users": ["1"], "k": 0})[0] == 422
    assert call(port, "/openapi.json")[1]["paths"]["/recommend"]


def said(found):
    """The index of an answer, and its items where all rows have the same."""
    first, *rest = [[item["item_id"] for item in row["items"]] for row in found["answers"]]
    return found["pair"]["index_fingerprint"], first if rest == [first] * 2 else []


def expected_of(store):
    """Fingerprint of a model -> that of its index, and what it recommends after items 1 and 2."""
    found = {}
    for version in ("1", "2"):
        pair = of_version(store, version)
        items, _ = pair.recommender.rank([[1, 2]], 7)
        found[pair.versions.model_fingerprint] = pair.versions.index_fingerprint, shop.ids(*items[0])
    return found


def test_pairs_change_under_load_without_a_lost_or_mixed_answer(store, served):
    port, client, versions = served
    expected, seen, ends, failed = expected_of(store), set(), threading.Event(), []

    def ask():
        while not ends.is_set():
            status, found = call(port, "/recommend", {"histories": [shop.ids(1, 2)] * 3, "k": 7})
            right = status == 200 and said(found) == expected.get(found["pair"]["model_fingerprint"])
            failed.extend([] if right else [found])
            seen.add(found["pair"]["model"] if right else "")

    def put_into_use(version):
        for name, number in zip((index_of("shop"), recommender_of("shop")), versions[version - 1], strict=True):
            client.set_registered_model_alias(name, CHAMPION, number)
        deadline = time.monotonic() + 120
        while {call(port, "/version")[1]["pair"]["model"] for _ in range(12)} != {f"model/ring/{version}"}:
            assert time.monotonic() < deadline

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    try:
        put_into_use(2)
        put_into_use(1)
    finally:
        ends.set()
        for asker in askers:
            asker.join()
    assert failed == []
    assert seen == {"model/ring/1", "model/ring/2"}


def test_the_client_of_the_page_gets_items(served):
    port, _, _ = served
    page = (Path(__file__).parents[3] / "docs" / "howto" / "serve.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    client = {"__name__": "client"}
    exec(compile(code, "serve.md", "exec", dont_inherit=True), client)  # the page is ours
    found = client["recommend"]([shop.ids(1, 2), ["gone"]], f"http://127.0.0.1:{port}", k=3)
    assert [len(row) for row in found] == [3, 3]
    with pytest.raises(RuntimeError, match="k"):
        client["recommend"]([["id-1"]], f"http://127.0.0.1:{port}", k=0)
