"""Leases on object storage: conditional writes, answers that are lost, stores that have no conditions."""

import logging
import threading
import time
from dataclasses import replace

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from moto.server import ThreadedMotoServer

from unisid.artifacts import lease, swap
from unisid.artifacts.lease import Owner, holding, owner_of
from unisid.artifacts.store import Place, Store
from unisid.artifacts.swap import Swap
from unisid.errors import ArtifactError, UnreadableError

pytestmark = pytest.mark.slow
KEYS = {"AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_EC2_METADATA_DISABLED": "true"}


def one_at_a_time(app):
    """The same server, which looks and writes as one: true S3's conditions hold however many write, moto's do not."""
    lock = threading.Lock()

    def locked(environ, start_response):
        with lock:
            return list(app(environ, start_response))

    return locked


@pytest.fixture(scope="module")
def s3():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    server._server.app = one_at_a_time(server._server.app)
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        url = f"http://{host}:{port}"
        boto3.client("s3", endpoint_url=url, region_name="us-east-1").create_bucket(Bucket="shop")
        yield url
    server.stop()


@pytest.fixture
def store(s3, request):
    name = request.node.name.replace("[", "-").replace("]", "")
    return Store(Place.of(f"s3://shop/{name}?region=us-east-1&endpoint_override={s3}"))


@pytest.fixture
def file(store):
    return Swap(store.root / lease.FOLDER, "r@1.json")


def meddle(monkeypatch, put):
    """Whatever boto3 client is made next, its `put_object` is `put(the true one, **words)`."""
    bucket = swap._bucket

    def meddled(uri):
        client, name, prefix = bucket(uri)
        true = client.put_object
        client.put_object = lambda **words: put(true, **words)
        return client, name, prefix

    monkeypatch.setattr(swap, "_bucket", meddled)


def test_a_file_goes_from_one_content_to_another(file):
    assert file.read() is None
    assert not file.swap(b"never there", b"a")
    assert file.swap(None, b"a")
    assert not file.swap(None, b"b")
    assert not file.swap(b"b", b"c")
    assert file.swap(b"a", b"b")
    assert file.read() == b"b"
    assert not file.swap(b"a", None)
    assert file.swap(b"b", None)
    assert file.read() is None


def test_what_came_between_look_and_write_is_not_overwritten(file, monkeypatch):
    """The condition is the store's: another's write after this one looked makes it fail."""
    other = swap._bucket(file.folder.uri)

    def late(put, **words):
        other[0].put_object(Bucket=words["Bucket"], Key=words["Key"], Body=b"other")
        return put(**words)

    meddle(monkeypatch, late)
    assert not file.swap(None, b"mine")
    assert file.read() == b"other"
    assert not file.swap(b"other", b"mine") or file.read() == b"mine"


@pytest.mark.parametrize("done", [True, False])
def test_after_a_lost_answer_the_file_itself_decides(file, monkeypatch, done):
    def lost(put, **words):
        if done:
            put(**words)
        raise ReadTimeoutError(endpoint_url="http://far")

    meddle(monkeypatch, lost)
    if done:
        assert file.swap(None, b"mine")
        assert file.read() == b"mine"
    else:
        with pytest.raises(ArtifactError, match="cannot be written .*timeout"):
            file.swap(None, b"mine")


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(file, monkeypatch):
    assert file.swap(None, b"mine")
    read, failures = Place.read, 3

    def replaced(place, name):
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise UnreadableError("Failed to flush response stream")
        return read(place, name)

    monkeypatch.setattr(Place, "read", replaced)
    assert file.read() == b"mine"
    failures = 1000
    with pytest.raises(ArtifactError, match="flush"):
        file.read()


def test_an_own_write_that_was_sent_twice_is_own(file, monkeypatch):
    """boto3 repeats a request whose answer was lost; the second is refused, for the first succeeded."""

    def twice(put, **words):
        put(**words)
        return put(**words)

    meddle(monkeypatch, twice)
    assert file.swap(None, b"mine")


def test_a_store_without_conditions_is_written_and_read_back(file, monkeypatch):
    def without(put, **words):
        raise ClientError({"Error": {"Code": "NotImplemented", "Message": "no conditions"}}, "PutObject")

    monkeypatch.setattr(swap, "SETTLE_SECONDS", 0.1)
    meddle(monkeypatch, without)
    assert file.swap(None, b"mine")
    assert not file.swap(None, b"other")


def test_without_boto3_it_is_written_and_read_back(file, monkeypatch):
    monkeypatch.setattr(swap, "SETTLE_SECONDS", 0.1)
    monkeypatch.setattr(swap, "_bucket", lambda uri: None)
    assert file.swap(None, b"mine")
    assert not file.swap(None, b"other")
    assert file.swap(b"mine", None)


@pytest.mark.parametrize("stale", [False, True])
def test_of_many_one_is_inside(store, file, stale):
    if stale:
        file.folder.write(file.name, lease._written(replace(Owner(), started=1.0)))
    inside, most = [], []

    def work():
        with holding(store, "r", "1", Owner(), lambda owner: None):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5
    assert owner_of(store, "r", "1") is None
