"""MLflow's webhook: signed words that an alias moved are taken, all others refused; on a real MLflow server."""

import base64
import hashlib
import hmac
import json
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import uvicorn
from cryptography.fernet import Fernet
from mlflow import MlflowClient
from starlette.testclient import TestClient

from tests.runtime import heads, tracking_server
from tests.runtime.http.cluster import put_into_use
from tests.runtime.stores import mlflow_at
from tests.serving import ring_pair
from unisid.runtime.follower import Follower, Source
from unisid.runtime.http import webhook
from unisid.runtime.http.app import application
from unisid.runtime.http.server import Server
from unisid.runtime.registry import index_of
from unisid.serving.settings import TOKEN, Serving

EVENT = {"entity": "model_version_alias", "action": "created", "data": {"name": "shop", "alias": "champion"}}


@pytest.fixture
def moved():
    return []


@pytest.fixture
def client(moved, monkeypatch):
    monkeypatch.setenv(webhook.SECRET, "between us")
    monkeypatch.setenv(TOKEN, "another one")
    server = Server(Serving())
    server.alias_moved = lambda name: moved.append(name) or name == "shop"
    with TestClient(application(server)) as found:
        yield found


def signed(event, secret="between us", age=0.0, **changed):
    """A body and its headers, written out as the documentation of MLflow's webhooks has it."""
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    stamp = str(int(time.time() - age))
    digest = hmac.new(secret.encode(), f"id-1.{stamp}.".encode() + body, hashlib.sha256).digest()
    headers = {
        "X-MLflow-Delivery-Id": "id-1",
        "X-MLflow-Timestamp": stamp,
        "X-MLflow-Signature": "v1," + base64.b64encode(digest).decode(),
    }
    return {"content": body, "headers": headers | changed}


def test_a_signed_word_is_taken_without_the_servers_token(client, moved):
    answer = client.post(webhook.PATH, **signed(EVENT))
    assert (answer.status_code, answer.json()) == (202, {"looks": True})
    assert client.post(webhook.PATH, **signed(EVENT | {"data": {"name": "other"}})).json() == {"looks": False}
    assert moved == ["shop", "other"]
    for event in (EVENT | {"entity": "model_version"}, EVENT | {"data": {"name": ["shop"]}}, {"data": {}}):
        assert client.post(webhook.PATH, **signed(event)).json() == {"looks": False}
    assert moved == ["shop", "other"]


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (lambda: signed(EVENT, secret="a guess"), 401, "signature"),
        (lambda: signed(EVENT, **{"X-MLflow-Signature": ""}), 401, "signature"),
        (lambda: signed(EVENT, **{"X-MLflow-Signature": b"v1,\xff"}), 401, "signature"),
        (lambda: signed(EVENT, **{"X-MLflow-Delivery-Id": "id-2"}), 401, "signature"),
        (lambda: {**signed(EVENT), "content": b"{}"}, 401, "signature"),
        (lambda: signed(EVENT, age=webhook.AGE + 60), 401, "signature"),
        (lambda: signed(EVENT, age=-webhook.AGE - 60), 401, "signature"),
        (lambda: signed(b"no json"), 400, "json"),
        (lambda: signed([]), 422, "body"),
        (lambda: signed({"data": 3}), 422, "body"),
        (lambda: signed(b" " * (webhook.MOST + 1)), 413, "body"),
    ],
)
def test_what_is_not_mlflows_word_is_refused(client, moved, request_, status, code):
    answer = client.post(webhook.PATH, **request_())  # signed now, and not when tests were collected
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert moved == []


def test_without_a_secret_there_are_no_webhooks(client, moved, monkeypatch):
    monkeypatch.delenv(webhook.SECRET)
    answer = client.post(webhook.PATH, **signed(EVENT, secret=""))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "webhook")
    assert moved == []


def test_a_follower_looks_at_once_for_its_own_models_alone():
    looks = threading.Semaphore(0)
    follower = Follower(Source("/tmp/none", "shop"), Serving(poll=600), lambda pair: None)
    follower.look = looks.release
    thread = follower.follow()
    assert not follower.alias_moved("shop-of-others")
    assert follower.alias_moved(index_of("shop"))
    assert looks.acquire(timeout=60)
    assert not looks.acquire(timeout=0.2)
    follower.stop()
    thread.join(60)
    assert not thread.is_alive()
    assert not Follower(Source("/tmp/none", model="model/ring/1"), Serving(), lambda pair: None).alias_moved("shop")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def mlflow_server(tmp_path):
    """A real MLflow server on SQLite that may call this machine."""
    words = ("--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--artifacts-destination", f"{tmp_path}/files")
    settings = {
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
    }
    process = tracking_server.started(port := free_port(), tmp_path / "server.log", *words, **settings)
    yield f"http://127.0.0.1:{port}"
    heads.end(process)


@pytest.mark.slow
def test_a_promotion_is_in_use_at_once_by_mlflows_own_webhook(mlflow_server, tmp_path, monkeypatch):
    """With the command of the page, and an hour between two polls."""
    secret, port = "of this test", free_port()
    monkeypatch.setenv(webhook.SECRET, secret)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    page = (Path(__file__).parents[3] / "docs" / "howto" / "serve.md").read_text()
    (program,) = re.findall(r"python - <<'END'\n(from mlflow.*?)END\n", page, re.DOTALL)
    program = program.replace("https://shop.example", f"http://127.0.0.1:{port}")
    subprocess.run([sys.executable, "-c", program], check=True)
    store = ring_pair.store(tmp_path / "store", 1, 2)
    with mlflow_at(mlflow_server):
        client = MlflowClient(mlflow_server, mlflow_server)
        experiment = client.create_experiment("e")
        versions = [ring_pair.registered(client, experiment, store, version) for version in (1, 2)]
        put_into_use(client, versions[0])
        server = Server(Serving(poll=3600))
        follower = Follower(Source(store.root.uri, "shop"), server.settings, server.use, server.refuse)
        server.alias_moved = follower.alias_moved
        running = uvicorn.Server(uvicorn.Config(application(server), port=port, log_level="warning"))
        thread = threading.Thread(target=running.run)
        thread.start()
        try:
            follower.look()
            follower.follow()
            assert server.pair.versions.model == "model/ring/1"
            put_into_use(client, versions[1])
            until = time.monotonic() + 60
            while server.pair.versions.model != "model/ring/2":
                assert time.monotonic() < until, (tmp_path / "server.log").read_text()
                time.sleep(0.05)
        finally:
            follower.stop()
            running.should_exit = True
            thread.join()
