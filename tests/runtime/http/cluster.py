"""A real Ray Serve of two replicas that follow a registry, and requests to it."""

import contextlib
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from ray import serve

from tests.runtime.stores import mlflow_at
from tests.runtime.test_ray_serve import of_version
from tests.serving import ring_pair
from unisid.artifacts.store import Store
from unisid.runtime import ray_serve
from unisid.runtime.registry import CHAMPION, index_of, recommender_of

Registered = list[tuple[str, str]]
"""The registry's versions of index and recommender, for each version of the store."""


@contextlib.contextmanager
def serving(
    store: Store, folder: Path, environment: Mapping[str, str] | None = None, poll: float = 0.2
) -> Iterator[tuple[int, MlflowClient, Registered]]:
    """Two replicas behind HTTP, which follow 'shop'; the port, MLflow's client, the versions in its registry."""
    uri = f"sqlite:///{folder}/mlflow.db"
    with mlflow_at(uri), socket.socket() as probe:
        client = MlflowClient(uri, uri)
        experiment = client.create_experiment("e", artifact_location=(folder / "files").as_uri())
        versions = [ring_pair.registered(client, experiment, store, version) for version in (1, 2)]
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        settings = {"replicas": 2, "cpus": 0.5, "poll": poll, "batch_wait": 0.005}
        app = ray_serve.build({"source": {"store": store.root.uri, "name": "shop"}, "serving": settings})
        runtime = {"env_vars": {"MLFLOW_TRACKING_URI": uri, **(environment or {})}}
        options = app._bound_deployment.options(ray_actor_options={"num_cpus": 0.5, "runtime_env": runtime})
        serve.start(http_options={"host": "127.0.0.1", "port": port, "request_timeout_s": 30})
        serve.run(options.bind(*app._bound_deployment.init_args), name="shop", route_prefix="/")
        try:
            yield port, client, versions
        finally:
            serve.shutdown()


def call(port: int, path: str, body: Any = None, seconds: float = 120) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def put_into_use(client: MlflowClient, numbers: tuple[str, str]) -> None:
    """Name one version of index and recommender the champions."""
    for name, number in zip((index_of("shop"), recommender_of("shop")), numbers, strict=True):
        client.set_registered_model_alias(name, CHAMPION, number)


def pair_and_items(found: Any) -> tuple[str, list[str]]:
    """The index of an answer, and its items where all three rows have the same."""
    first, *rest = [[item["item_id"] for item in row["items"]] for row in found["answers"]]
    return found["pair"]["index_fingerprint"], first if rest == [first] * 2 else []


def expected_of(store: Store) -> dict[str, tuple[str, list[str]]]:
    """Fingerprint of a model -> that of its index, and what it recommends after items 1 and 2."""
    found = {}
    for version in ("1", "2"):
        pair = of_version(store, version)
        items, _ = pair.recommender.rank([[1, 2]], 7)
        found[pair.versions.model_fingerprint] = pair.versions.index_fingerprint, ring_pair.ids(*items[0])
    return found
