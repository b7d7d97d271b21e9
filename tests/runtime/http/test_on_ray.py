"""The whole over HTTP on a real Ray Serve of two replicas, which follow a registry."""

import re
import threading
import time
from pathlib import Path

import pytest

from tests.recommenders import N
from tests.runtime.http import faults
from tests.runtime.http.cluster import call, expected_of, pair_and_items, put_into_use, serving
from tests.runtime.test_ray_serve import of_version
from tests.serving import ring_pair

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ring_pair.store(tmp_path_factory.mktemp("on_ray"), 1, 2)


@pytest.fixture(scope="module")
def served(store, ray_compute, tmp_path_factory):
    with serving(store, tmp_path_factory.mktemp("registry")) as found:
        yield found


def test_over_http_answers_are_those_of_rank(store, served):
    port, _, _ = served
    pair = of_version(store, "1")
    histories = [[item, (item + 2) % N] for item in range(N)]
    status, found = call(port, "/recommend", {"histories": [ring_pair.ids(*history) for history in histories], "k": 7})
    assert status == 200
    items, _ = pair.recommender.rank(histories, 7)
    for row, numbers in zip(found["answers"], items, strict=True):
        assert [item["item_id"] for item in row["items"]] == ring_pair.ids(*numbers)
    assert found["pair"]["model_fingerprint"] == pair.versions.model_fingerprint
    assert call(port, "/recommend", {"users": ["1"], "k": 0})[0] == 422
    assert call(port, "/openapi.json")[1]["paths"]["/recommend"]


def test_pairs_change_under_load_without_a_lost_or_mixed_answer(store, served):
    port, client, versions = served
    expected, seen, ends, failed = expected_of(store), set(), threading.Event(), []

    def ask():
        while not ends.is_set():
            status, found = call(port, "/recommend", {"histories": [ring_pair.ids(1, 2)] * 3, "k": 7})
            right = status == 200 and pair_and_items(found) == expected.get(found["pair"]["model_fingerprint"])
            failed.extend([] if right else [found])
            seen.add(found["pair"]["model"] if right else "")

    def use(version):
        put_into_use(client, versions[version - 1])
        deadline = time.monotonic() + 120
        while {call(port, "/version")[1]["pair"]["model"] for _ in range(12)} != {f"model/ring/{version}"}:
            assert time.monotonic() < deadline

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    try:
        use(2)
        use(1)
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
    found = client["recommend"]([ring_pair.ids(1, 2), ["gone"]], f"http://127.0.0.1:{port}", k=3)
    assert [len(row) for row in found] == [3, 3]
    with pytest.raises(RuntimeError, match="k"):
        client["recommend"]([["id-1"]], f"http://127.0.0.1:{port}", k=0)


def test_replicas_that_are_killed_under_load_cost_no_wrong_and_no_hung_answer(store, served):
    """Ten minutes of it: python -m tests.runtime.http.faults."""
    port, client, versions = served
    trial = faults.Trial(port, client, versions, store)
    trial.run(seconds=16, rate=20, kill=6, swap=5, kills=2)
    assert trial.wrong == []
    assert trial.killed >= 2
    assert trial.counts["right"] > 100, trial.counts  # of 320: others were refused in words
    assert set(trial.pairs) == {"model/ring/1", "model/ring/2"}
