"""`unisid serve`: words that do not go together, and a real server in one process that SIGTERM ends."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from tests.serving import ring_pair
from unisid.cli import main


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ring_pair.store(tmp_path_factory.mktemp("command"), 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--name", "lost"], "no model of 'lost' here; known: ring"),
        (["--name", "shop", "--model", "model/ring/1"], "must have either a registered name"),
        (["--name", "shop", "--codes", "codes/ring/1"], "--codes codes/ring/1 stands beside --model"),
        (["--model", "model/ring/9"], "model/ring/9"),
        (["--model", "model/ring/1", "--batch-size", "0"], "serving.batch_size: is 0"),
        (["--model", "model/ring/1", "--partitions", "cheap"], "'cheap'; must be NAME=RULE"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_starts(store, capsys, words, message):
    assert main(["serve", "--store", str(store.root), *words]) == 1
    assert message in capsys.readouterr().err


def test_a_partition_that_fits_no_column_is_refused(store, capsys):
    words = ["--model", "model/ring/1", "--compute", "local", "--partitions", "cheap=price < 3"]
    assert main(["serve", "--store", str(store.root), *words]) == 1
    assert "partition 'cheap': rule 'price < 3': no column 'price'" in capsys.readouterr().err


def test_an_address_that_this_machine_lacks_and_a_port_that_is_taken_are_refused(store, capsys):
    words = ["serve", "--store", str(store.root), "--model", "model/ring/1", "--compute", "local"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for where in (["--host", "192.0.2.1"], ["--port", str(taken.getsockname()[1])]):
            assert main([*words, *where]) == 1
            assert re.search(r"serve: cannot listen at \S+:\d+ \(.+\); must be an address", capsys.readouterr().err)


@pytest.mark.slow
def test_a_server_answers_and_sigterm_ends_it(store):
    words = ["serve", "--store", str(store.root), "--model", "model/ring/1", "--compute", "local", "--port", "0"]
    process = subprocess.Popen([sys.executable, "-m", "unisid.cli", *words], stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        url = re.search(r"http://127\.0\.0\.1:\d+", line).group()
        body = json.dumps({"histories": [["id-1"]], "k": 3}).encode()
        request = urllib.request.Request(f"{url}/recommend", body, {"Content-Type": "application/json"})
        (row,) = json.load(opened(request))["answers"]
        assert len(row["items"]) == 3
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
    assert process.returncode in (0, 143, -signal.SIGTERM)


def opened(request):
    """The answer, as soon as the server listens."""
    deadline = time.monotonic() + 120
    while True:
        try:
            return urllib.request.urlopen(request, timeout=120)
        except urllib.error.URLError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
