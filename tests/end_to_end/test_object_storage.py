"""The whole flow on object storage: a real S3 API on loopback, processes that are killed, buckets that refuse."""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3
import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import requests
from moto.server import ThreadedMotoServer

from tests import forked
from tests.end_to_end import waiting
from tests.end_to_end.recipes import tiny
from tests.lines import logged
from tests.runtime.stores import mlflow_at
from unisid import cli, pipeline
from unisid.artifacts import filesystems
from unisid.artifacts.filesystems import filesystem_of
from unisid.artifacts.record import read_record, require
from unisid.artifacts.shards import Shards, shard_indices, write_array
from unisid.artifacts.store import Address, Place, Store
from unisid.cli.session import Session
from unisid.errors import ArtifactError, ConfigError
from unisid.runtime.local import LocalCompute

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
RECIPE = "tests/end_to_end/recipes.py:tiny"
KEYS = {
    "AWS_ACCESS_KEY_ID": "reader",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}
DIES_BEFORE_THE_RECORD = """
import os, signal, sys
from unisid import cli, making
written = making.write_record

def write_record(place, record):
    if record.noun == "embeddings":
        os.kill(os.getpid(), signal.SIGKILL)
    written(place, record)

making.write_record = write_record
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def s3():
    """Where the S3 API answers, with one bucket; its keys are in this process's environment."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        url = f"http://{host}:{port}"
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket="shop")
        yield url
    server.stop()


@pytest.fixture
def at(s3):
    """Folder -> its URI, which says itself how the API is reached."""
    return lambda folder: f"s3://{folder}?region=us-east-1&endpoint_override={s3}"


@pytest.fixture(scope="module")
def whole(s3, tmp_path_factory):
    """The tiny recipe, run by the command line against AWS_ENDPOINT_URL."""
    folder = tmp_path_factory.mktemp("cwd")
    result = unisid("run", RECIPE, "--compute", "local", store="s3://shop/whole", s3=s3, folder=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def environment(s3, folder):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_", "UNISID_"))}
    return kept | {"AWS_ENDPOINT_URL": s3, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}


def unisid(*words, store, s3, folder):
    return forked.run(*words, "--store", store, env=environment(s3, folder), timeout=600)


def run_here(uri, *words, **more):
    """The tiny recipe in this process, up to a noun; returns what it said."""
    compute = more.get("compute", LocalCompute())
    with logged() as said:
        pipeline.run(tiny(), Store(Place.of(uri)), compute, pipeline.NullTracker(), more["until"])
    return said


def test_the_flow_writes_the_bytes_that_it_writes_on_a_disk(whole, at, tmp_path):
    disk = pipeline.run(tiny(), Store(Place.of(tmp_path)), LocalCompute(), pipeline.NullTracker())
    bucket = Store(Place.of(at("shop/whole")))
    for noun, ours in disk.items():
        theirs = bucket.place(Address(noun, "tiny", "1"))
        require(theirs, noun)
        names = [n for n in ours.sizes() if n not in ("record.json", "curve.parquet")]
        assert names == [n for n in theirs.sizes() if n not in ("record.json", "curve.parquet")]
        for name in names:
            assert ours.read(name) == theirs.read(name), f"{noun}/{name}"
    assert (bucket.root / "reports" / "tiny" / "1").exists("report.html")


def test_nothing_half_written_and_no_leftover_lies_there(whole, s3):
    client = boto3.client("s3", endpoint_url=s3)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="shop", Prefix="whole/")
    names = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    at_rest = ("/.leases/", "/.published.json", "/.order")
    assert not [name for name in names if "/." in name and not name.endswith(at_rest)]
    assert not client.list_multipart_uploads(Bucket="shop").get("Uploads")


def test_models_are_registered_from_there(whole):
    uri = f"sqlite:///{whole}/mlflow.db"
    with mlflow_at(uri):
        model = mlflow.pyfunc.load_model("models:/tiny-recommender@champion")
    ids = model.unwrap_python_model().item_ids
    assert len(model.predict(pd.DataFrame({"history": [ids[:3]]}), params={"k": 5})["item_ids"][0]) == 5


def test_ray_works_on_it(whole, at, s3, tmp_path):
    """Maps and fits in Ray's own processes, from and to the bucket."""
    result = unisid("run", RECIPE, "--until", "fused", store=at("shop/ray"), s3=s3, folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    here, there = Store(Place.of(at("shop/whole"))), Store(Place.of(at("shop/ray")))
    for noun, name in (("embeddings", "states"), ("graph", "items"), ("fused", "vectors")):
        address, file = Address(noun, "tiny", "1"), f"{name}-00000.arrow"
        require(there.place(address), noun)
        assert here.place(address).read(file) == there.place(address).read(file)


def test_a_training_that_is_killed_goes_on_from_its_checkpoint(whole, at, s3, tmp_path):
    held = waiting.write(tmp_path, waiting.TRAINING)
    words = ("run", f"{held.file}:tiny", "--name", "killed", "--until", "model", "--compute", "local")
    patience = ("--model.training.epochs", "14", "--model.training.patience", "50")
    often = ("--model.training.checkpoint_seconds", "0")
    process = forked.begin(*words, *patience, *often, "--store", "s3://shop/whole", env=environment(s3, tmp_path))
    store = Store(Place.of(at("shop/whole")))
    model = store.place(Address("model", "killed", "1"))
    while not (drafts := store.drafts(Address("model", "killed", "1"))) or not committed(drafts[0] / ".work"):
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    assert read_record(model) is None
    held.open()
    again = unisid(*words, *patience, store="s3://shop/whole", s3=s3, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert waiting.first_epoch(again.stdout) > 1
    require(model, "model")
    assert not store.drafts(Address("model", "killed", "1"))


def committed(work):
    """The whole checkpoints of a stage."""
    return [n for fit in work.folders() for n in (work / fit).folders() if (work / fit / n).exists("complete")]


class Watched(LocalCompute):
    """Counts the parts that are made."""

    parts = 0

    def map(self, parts, *steps):
        self.parts += len(parts)
        yield from super().map(parts, *steps)


def test_a_crash_between_shard_and_record_costs_no_shard(at, s3, tmp_path):
    uri = at("shop/crash")
    words = ("run", RECIPE, "--until", "embeddings", "--compute", "local", "--store", uri)
    program = [sys.executable, "-c", DIES_BEFORE_THE_RECORD, *words]
    result = subprocess.run(program, cwd=ROOT, env=environment(s3, tmp_path), capture_output=True, check=False)
    assert result.returncode == -signal.SIGKILL
    place = Store(Place.of(uri)).place(Address("embeddings", "tiny", "1"))
    assert read_record(place) is None
    (half,) = Store(Place.of(uri)).drafts(Address("embeddings", "tiny", "1"))
    assert shard_indices(half, "states") == [0]
    (entry,) = [e for e in pipeline.plan(tiny(), Store(Place.of(uri)), "embeddings") if e.noun == "embeddings"]
    assert entry.state == "half made"
    compute = Watched()
    said = run_here(uri, compute=compute, until="embeddings")
    assert compute.parts == 0
    assert any("1 of 1 shards are there already" in line for line in said)
    require(place, "embeddings")


def test_a_file_too_large_to_be_renamed_is_sent_again(at, monkeypatch):
    place = Place.of(at("shop/large"))
    monkeypatch.setattr(filesystems, "LARGEST_COPY", 100)
    place.write("small.bin", b"x" * 100)
    place.write("large.bin", b"y" * 101)
    assert place.sizes() == {"large.bin": 101, "small.bin": 100}
    assert place.read("large.bin") == b"y" * 101


def test_shards_are_mapped_and_not_held_in_memory(at, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place, values = Place.of(at("shop/shards")), np.random.default_rng(0).normal(size=(100_000, 16))
    write_array(place, "vectors", {"vector": values}, shard_rows=60_000)
    held, shards = pa.total_allocated_bytes(), Shards(place, "vectors")
    assert len(shards) == 100_000
    assert pa.total_allocated_bytes() - held < values.nbytes / 10
    rows = np.array([99_999, 0, 60_000])
    assert (shards.read("vector", rows) == values[rows]).all()
    assert not list(tmp_path.iterdir())


def test_a_place_is_fetched_whole(at, tmp_path):
    place = Place.of(at("shop/fetched"))
    place.write("a.bin", b"a")
    (place / "deep" / "er").write("b.bin", b"b")
    folder = place.fetch(tmp_path / "here")
    assert (folder / "a.bin").read_bytes() == b"a"
    assert (folder / "deep/er/b.bin").read_bytes() == b"b"


@pytest.fixture
def quiet(monkeypatch, capsys):
    """The command line in this process; returns the exit code and the complaint."""
    monkeypatch.setattr(Session, "tracker", lambda session: pipeline.NullTracker())

    def run(store):
        code = cli.main(["run", RECIPE, "--until", "catalog", "--compute", "local", "--store", store])
        return code, capsys.readouterr().err

    return run


def test_a_bucket_that_is_not_there_is_one_clear_error(at, quiet):
    code, complaint = quiet(at("absent/store"))
    assert code == 1
    assert "cannot be written (An error occurred (NoSuchBucket)" in complaint
    assert len(complaint.splitlines()) == 1


def test_a_bucket_that_refuses_is_one_clear_error(at, s3, quiet, monkeypatch):
    """First a key that may read but not write, then one that may nothing."""
    client = boto3.client("iam", endpoint_url=s3)
    client.create_user(UserName="reader")
    reading = {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": reading})
    client.put_user_policy(UserName="reader", PolicyName="reading", PolicyDocument=policy)
    key = client.create_access_key(UserName="reader")["AccessKey"]
    filesystem_of.cache_clear()  # who asks is settled when a file system is made
    try:
        assert requests.post(f"{s3}/moto-api/reset-auth", data=b"0", timeout=10).ok
        code, complaint = quiet(at("shop/refused"))
        assert code == 1
        assert "cannot be read" in complaint
        assert "s3://shop/refused" in complaint
        assert len(complaint.splitlines()) == 1
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        filesystem_of.cache_clear()
        code, complaint = quiet(at("shop/refused"))
        assert code == 1
        assert "cannot be written" in complaint
        assert len(complaint.splitlines()) == 1
    finally:
        requests.post(f"{s3}/moto-api/reset-auth", data=b"Infinity", timeout=10)
        filesystem_of.cache_clear()


def test_a_wrong_option_is_named(at):
    with pytest.raises(ConfigError, match="Unexpected query parameter in S3 URI: 'endpoint'"):
        Place.of("s3://shop/x?endpoint=http://127.0.0.1:1").exists()


def test_a_store_that_does_not_answer_is_named(monkeypatch):
    with pytest.raises(ArtifactError, match="cannot be read .*Could not connect"):
        Place.of("s3://shop/x?region=us-east-1&endpoint_override=http://127.0.0.1:1").exists()
