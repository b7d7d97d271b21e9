"""Batches over requests in Serve's local testing mode; the whole over HTTP on a real Ray Serve."""

import json
import re
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray import serve

from tests.recommenders import N
from tests.serving import shop
from unisid.artifacts.store import Address
from unisid.errors import ArtifactError, ConfigError
from unisid.runtime import ray_serve
from unisid.runtime.registry import CHAMPION, index_of, recommender_of
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_client_of_the_page_gets_items(served):
    port, _, _ = served
    page = (Path(__file__).parents[2] / "docs" / "howto" / "serve.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    client = {"__name__": "client"}
    exec(compile(code, "serve.md", "exec", dont_inherit=True), client)  # the page is ours
    found = client["recommend"]([shop.ids(1, 2), ["gone"]], f"http://127.0.0.1:{port}", k=3)
    assert [len(row) for row in found] == [3, 3]
    with pytest.raises(RuntimeError, match="k"):
        client["recommend"]([["id-1"]], f"http://127.0.0.1:{port}", k=0)
