"""The HTTP application in process: answers equal `Recommender.rank`, every limit has its own refusal."""

import asyncio
import dataclasses
import json
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.recommenders import TITLES
from tests.serving.ring_pair import ids, pair
from unisid.errors import ArtifactError
from unisid.runtime.http.app import application
from unisid.runtime.http.server import Server
from unisid.serving.answers import answers
from unisid.serving.settings import TOKEN, Serving

LIMITS = Serving(
    most_rows=6, most_k=12, most_history=10, most_ids=8, most_body=4000, most_waiting=6, batch_size=4, most_explained=5
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return pair(tmp_path_factory.mktemp("http"))


@pytest.fixture(scope="module")
def server(shop):
    found = Server(LIMITS)
    found.use(shop)
    return found


@pytest.fixture(scope="module")
def client(server):
    with TestClient(application(server), raise_server_exceptions=True) as found:
        yield found


def asked(client, **body):
    answer = client.post("/recommend", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert set(answer.json()["error"]) == {"code", "message"}
    return answer.json()["error"]["message"]


def test_answers_are_those_of_rank(client, shop):
    histories = [[1, 2, 3], [9], [4, 5, 6, 7]]
    items, scores = shop.recommender.rank(histories, 7)
    found = asked(client, histories=[ids(*history) for history in histories], k=7)
    for row, numbers, values in zip(found["answers"], items, scores, strict=True):
        assert [item["item_id"] for item in row["items"]] == ids(*numbers)
        assert [np.float32(item["score"]) for item in row["items"]] == values.tolist()
        assert [item["title"] for item in row["items"]] == [TITLES[number] for number in numbers]
        assert [item["semantic_id"] for item in row["items"]] == [shop.sids[number] for number in numbers]
        assert (row["source"], row["skipped"], row["note"]) == ("model", [], "")
    assert found["pair"]["index_fingerprint"] == shop.codes.record.fingerprint
    assert found["pair"]["model"] == "model/ring/1"


def test_users_rules_partitions_and_quotas(client):
    (row,) = asked(client, users=["3"], k=12, rule="stock", partition="cheap", quota={"column": "colour", "most": 2})[
        "answers"
    ]
    found = [int(item["item_id"][3:]) for item in row["items"]]
    assert found
    assert all(item % 3 and item < 8 for item in found)
    assert max(np.bincount([item // 4 for item in found])) <= 2
    assert row["note"].startswith("only ")


def test_a_bad_row_has_its_own_error(client):
    histories = [ids(1, 2), None, [], ["gone"], [3], ids(*range(11)), ids(4)]
    found = asked(client, histories=histories[:6], k=2)["answers"]
    assert [row.get("source", "error") for row in found] == [
        "model",
        "error",
        "popularity",
        "popularity",
        "error",
        "error",
    ]
    assert [row["error"]["message"] for row in found if "error" in row] == [
        "history: is missing; must be a list of item ids",
        "history: has 3; must be a list of item ids, as text",
        "history: has 11 items; must have at most 10",
    ]
    assert found[3]["skipped"] == ["gone"]
    users = asked(client, users=["3", None, 7, "nobody"])["answers"]
    assert [row.get("source", "error") for row in users] == ["model", "error", "error", "popularity"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "rows"),
        ({"histories": [], "users": []}, "rows"),
        ({"histories": [["id-1"]] * 7}, "rows"),
        ({"histories": [["id-1"]], "k": 13}, "k"),
        ({"histories": [["id-1"]], "k": 10**400}, "k"),
        ({"histories": [["id-1"]], "k": 0}, "body"),
        ({"histories": [["id-1"]], "k": "3"}, "body"),
        ({"histories": [["id-1"]], "kk": 3}, "body"),
        ({"histories": "id-1"}, "body"),
        ({"histories": [["id-1"]], "exclude": ["x"] * 9}, "exclude"),
        ({"histories": [["id-1"]], "allowed": ["x"] * 9}, "allowed"),
        ({"histories": [["id-1"]], "rule": "prize < 3"}, "rule"),
        ({"histories": [["id-1"]], "rule": "stock and"}, "rule"),
        ({"histories": [["id-1"]], "partition": "dear"}, "partition"),
        ({"histories": [["id-1"]], "quota": {"column": "color", "most": 1}}, "quota"),
        ({"histories": [["id-1"]], "quota": {"column": "colour", "most": -1}}, "quota"),
        ({"histories": [["id-1"]], "quota": {"column": "colour", "most": {"pink": 1}}}, "quota"),
        ([1], "body"),
    ],
)
def test_what_is_wrong_with_a_whole_request_is_refused(client, body, code):
    refused(client.post("/recommend", json=json.loads(json.dumps(body))), 422, code)


def test_bodies_that_are_none(client):
    head = {"Content-Type": "application/json"}
    refused(client.post("/recommend", content=b"{", headers=head), 400, "json")
    refused(client.post("/recommend", content=b"\xff\xfe", headers=head), 400, "json")
    refused(client.post("/recommend", content=b"[" * 3999, headers=head), 400, "http")
    refused(client.post("/recommend", content=b"x" * 4001, headers=head), 413, "body")
    refused(client.post("/recommend", content=iter([b"x" * 3000, b"x" * 3000]), headers=head), 413, "body")
    refused(client.post("/recommend"), 422, "body")
    refused(client.get("/recommend"), 405, "http")
    refused(client.get("/nothing"), 404, "http")


def test_text_that_no_encoding_holds_is_answered(client):
    (row,) = asked(client, histories=[["\u202eid", "id-1", "\x1b[31m"]], k=1)["answers"]
    assert row["skipped"] == ["\\u202eid", "\\x1b[31m"]
    answer = client.post(
        "/recommend",
        content=b'{"histories": [["\\ud800", "id-1"]], "k": 1}',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code in (200, 400, 422)
    assert client.get("/items/%ED%A0%80").status_code == 404


def test_an_item_has_its_columns(client, shop):
    found = client.get("/items/id-5").json()
    assert (found["title"], found["semantic_id"]) == (TITLES[5], shop.sids[5])
    assert found["columns"] == {"colour": "blue", "price": 5.0, "stock": True}
    assert "not in catalog/ring/1" in refused(client.get("/items/gone"), 404, "item")


def test_health_version_and_figures(client, shop):
    assert client.get("/healthz").json() == {"status": "ok"}
    found = client.get("/version").json()
    assert found["pair"]["model_fingerprint"] == shop.versions.model_fingerprint
    assert found["refused"] == ""
    client.get("/items/gone")
    text = client.get("/metrics").text
    assert 'unisid_requests_total{path="/items/{item_id:path}",status="404"}' in text
    assert f'index_fingerprint="{shop.versions.index_fingerprint}"' in text
    assert "unisid_waiting_rows 0.0" in text


def test_without_a_pair_nothing_is_answered(shop):
    server = Server(LIMITS, refused="shop-index has no champion")
    with TestClient(application(server)) as client:
        for answer in (client.get("/healthz"), client.post("/recommend", json={"users": ["1"]})):
            assert refused(answer, 503, "no-pair") == "shop-index has no champion"
        assert client.get("/version").json()["refused"] == "shop-index has no champion"


def test_the_token_opens_all_but_the_health_page(server, monkeypatch):
    monkeypatch.setenv(TOKEN, "sésame")
    with TestClient(application(server)) as client:
        assert client.get("/healthz").status_code == 200
        for headers in ({}, {"Authorization": "Bearer sesame"}, {"Authorization": "Bearer"}):
            assert TOKEN in refused(client.get("/version", headers=headers), 401, "token")
        right = {"Authorization": "Bearer sésame".encode()}
        assert client.get("/version", headers=right).status_code == 200


def test_a_full_queue_is_refused_with_when_to_come_again(shop):
    server = Server(LIMITS)
    server.use(shop)
    goes_on, began = threading.Event(), threading.Event()

    async def slow(found, rows):
        began.set()
        await asyncio.to_thread(goes_on.wait, 60)
        return answers(found, rows)

    with TestClient(application(server, slow)) as client:
        got = []
        first = threading.Thread(target=lambda: got.append(client.post("/recommend", json={"users": ["1"] * 6})))
        first.start()
        assert began.wait(60)
        full = client.post("/recommend", json={"users": ["1"]})
        assert "6 rows wait" in refused(full, 503, "full")
        assert full.headers["Retry-After"] == "1"
        assert client.get("/healthz").status_code == 200
        goes_on.set()
        first.join()
        assert got[0].status_code == 200
        assert client.post("/recommend", json={"users": ["1"]}).status_code == 200
    assert server.waiting == 0


def test_what_is_late_is_refused_and_its_rows_stay_counted(shop):
    server = Server(Serving(timeout=0.2))
    server.use(shop)
    goes_on = threading.Event()

    async def slow(found, rows):
        await asyncio.to_thread(goes_on.wait, 60)
        return answers(found, rows)

    with TestClient(application(server, slow)) as client:
        refused(client.post("/recommend", json={"users": ["1", "2"]}), 504, "late")
        assert server.waiting == 2
        goes_on.set()


def test_a_fault_has_no_traceback(shop):
    server = Server(LIMITS)
    server.use(shop)

    async def broken(found, rows):
        raise KeyError("secret")

    with TestClient(application(server, broken)) as client:
        assert "secret" not in refused(client.post("/recommend", json={"users": ["1"]}), 500, "fault")


def test_a_pair_changes_whole_and_what_began_ends_with_its_own(shop, tmp_path):
    server, other = Server(LIMITS), pair(tmp_path)
    server.use(shop)

    async def changing(found, rows):
        server.use(other)
        return answers(found, rows)

    with TestClient(application(server, changing)) as client:
        found = asked(client, users=["1"])
        assert found["pair"]["model_fingerprint"] == shop.versions.model_fingerprint
        assert server.pair is other


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("histories", "users", "k", "exclude_history", "exclude", "allowed", "rule", "partition", "quota")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(FIELDS), ANY, max_size=6) | ANY)
def test_whatever_comes_in_no_fault_comes_out(client, body):
    answer = client.post("/recommend", content=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 400, 413, 422, 503), answer.text
    assert "Traceback" not in answer.text


def test_an_explained_answer_names_its_path_and_what_moved_it(client, shop):
    (row,) = asked(client, histories=[ids(1, 2, 3)], k=3, explain=True)["answers"]
    for item in row["items"]:
        path = item["explanation"]["path"]
        assert path[-1]["prefix"] == item["semantic_id"]
        assert path[-1]["items"] == 1
        assert {gain["item_id"] for gain in item["explanation"]["moved_by"]} <= set(ids(1, 2, 3))
    proven = shop.recommender.prove([[1, 2, 3]], 3)
    assert row["certainty"] == {"items": proven.proven[0], "slack": pytest.approx(float(proven.slack[0]))}
    message = refused(client.post("/recommend", json={"histories": [["id-1"]] * 6, "explain": True}), 422, "explain")
    assert message == "a request that is explained: 6 rows; must be at most 5"


def test_items_are_found_by_title_and_have_neighbours(client, shop):
    found = client.get("/items", params={"title": "BLUE la"}).json()["items"]
    assert [item["item_id"] for item in found] == ids(TITLES.index("blue lamp"))
    assert len(client.get("/items", params={"title": "e", "limit": 3}).json()["items"]) == 3
    assert client.get("/items", params={"title": " "}).json() == {"items": []}
    refused(client.get("/items", params={"title": "e", "limit": 0}), 422, "body")
    codes = shop.codes.codes
    for item in range(20):
        beside = client.get(f"/items/id-{item}").json()["neighbours"]
        shared = [(codes[int(other["item_id"][3:])] == codes[item]).cumprod().sum() for other in beside]
        most = max((codes[other] == codes[item]).cumprod().sum() for other in range(20) if other != item)
        assert shared == [most] * len(beside)
        assert beside


def test_the_page_for_people_asks_for_nothing_from_elsewhere(client):
    answer = client.get("/")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert "innerHTML" not in answer.text


class Pairs:
    """A server that a second pair comes into, whose rows may fail."""

    def __init__(self, folder, **limits):
        self.withdrawn, self.fails, self.done = [], False, threading.Event()
        self.server = Server(Serving(guard_rows=4, most_slower=0, **limits), withdraw=self.withdraw)
        self.first = pair(folder)
        self.second = dataclasses.replace(
            self.first, versions=dataclasses.replace(self.first.versions, model="model/ring/2")
        )
        self.server.use(self.first)

    def withdraw(self, pair, why):
        self.withdrawn.append((pair.versions.model, why))
        self.done.set()

    async def rank(self, pair, rows):
        if self.fails and pair.versions.model == "model/ring/2":
            raise ArtifactError("not a number")
        return answers(pair, rows)


def test_a_promoted_pair_whose_rows_fail_is_withdrawn(tmp_path):
    world = Pairs(tmp_path)
    with TestClient(application(world.server, world.rank)) as client:
        for _ in range(5):
            asked(client, histories=[ids(1)])
        world.fails = True
        world.server.use(world.second)
        for _ in range(4):
            refused(client.post("/recommend", json={"histories": [ids(1)]}), 503, "model")
        assert asked(client, histories=[ids(1)])["pair"]["model"] == "model/ring/1"
        assert world.done.wait(60)
        assert world.withdrawn == [("model/ring/2", "4 of 4 rows failed, serving.most_errors is 0.01")]
        assert "model/ring/2 over codes/ring/1 was withdrawn: 4 of 4" in client.get("/version").json()["refused"]
        assert "unisid_pairs_withdrawn_total 1.0" in client.get("/metrics").text


def test_a_promoted_pair_that_does_well_stays(tmp_path):
    world = Pairs(tmp_path, least_agreement=0.9)
    with TestClient(application(world.server, world.rank)) as client:
        world.server.use(world.second)
        for _ in range(12):
            assert asked(client, histories=[ids(1)])["pair"]["model"] == "model/ring/2"
        assert world.server.tally.compared >= 1
        assert world.server.judged
        assert not world.withdrawn


def test_a_promoted_pair_that_recommends_other_items_is_withdrawn(tmp_path):
    world = Pairs(tmp_path, least_agreement=0.9)

    async def otherwise(pair, rows):
        turned = [dataclasses.replace(row, history=ids(15), exclude=tuple(ids(*range(10)))) for row in rows]
        return answers(pair, turned if pair.versions.model == "model/ring/2" else rows)

    with TestClient(application(world.server, otherwise)) as client:
        world.server.use(world.second)
        for _ in range(4):
            asked(client, histories=[ids(1)], k=5)
        assert world.done.wait(60)
        assert "of its items are recommended by the pair before too" in world.withdrawn[0][1]
        assert world.server.pair is world.first
