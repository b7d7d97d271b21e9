"""A candidate answers some requests unseen, or some users; the guard dismisses it for what it does there."""

import dataclasses
import threading

import pytest
from starlette.testclient import TestClient

from tests.serving.ring_pair import ids, pair
from unisid.errors import ArtifactError
from unisid.runtime.http.app import application
from unisid.runtime.http.server import Server
from unisid.serving.answers import answers
from unisid.serving.guard import chosen
from unisid.serving.settings import Serving


class World:
    """A server with a candidate beside the pair in use, which may fail or recommend other items."""

    def __init__(self, folder, **limits):
        self.dismissed, self.done = [], threading.Event()
        self.fails, self.turns = False, False
        self.server = Server(Serving(most_slower=0, **limits), dismiss=self.dismiss)
        self.first = pair(folder)
        versions = dataclasses.replace(self.first.versions, model="model/ring/2")
        self.second = dataclasses.replace(self.first, versions=versions)
        self.server.use(self.first)
        self.server.try_out(self.second)
        self.client = TestClient(application(self.server, self.rank))

    def dismiss(self, pair, why):
        self.dismissed.append((pair.versions.model, why))
        self.done.set()

    async def rank(self, pair, rows):
        if pair is self.second and self.fails:
            raise ArtifactError("not a number")
        if pair is self.second and self.turns:
            rows = [dataclasses.replace(row, history=ids(15), exclude=tuple(ids(*range(10)))) for row in rows]
        return answers(pair, rows)

    def asked(self, **body):
        answer = self.client.post("/recommend", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["pair"]["model"]

    def version(self):
        return self.client.get("/version").json()["candidate"]

    def clicked(self, **body):
        return self.client.post("/clicks", json=body)


@pytest.fixture
def world(tmp_path):
    found = []

    def make(**limits):
        found.append(World(tmp_path, **limits))
        found[-1].client.__enter__()
        return found[-1]

    yield make
    for each in found:
        each.client.__exit__(None, None, None)


def test_a_shadow_answers_unseen(world):
    shop = world(shadow=1.0)
    for _ in range(5):
        assert shop.asked(histories=[ids(1), ids(2, 3)]) == "model/ring/1"
    seen = shop.version()
    assert seen["pair"]["model"] == "model/ring/2"
    assert seen["rows"] == seen["compared"] >= 2
    assert (seen["agreement"], seen["errors"]) == (1, 0)
    assert 'model_fingerprint="' in shop.client.get("/metrics").text.partition("unisid_candidate{")[2]


def test_a_shadow_that_recommends_other_items_is_dismissed(world):
    shop = world(shadow=1.0, guard_rows=4, least_agreement=0.9)
    shop.turns = True
    for _ in range(12):
        assert shop.asked(histories=[ids(1)], k=5) == "model/ring/1"
    assert shop.done.wait(60)
    assert "of its items are recommended by the pair before too" in shop.dismissed[0][1]
    assert shop.version()["dismissed"].startswith("model/ring/2 over codes/ring/1: 0.")
    assert len(shop.dismissed) == 1


def test_a_canary_answers_its_share_of_users_and_always_the_same(world):
    shop = world(canary=0.5, guard_rows=1000)
    cohorts = [f"session-{n}" for n in range(20)]
    for _ in range(2):
        answered = [shop.asked(histories=[ids(1)], cohort=cohort) for cohort in cohorts]
        assert answered == [f"model/ring/{1 + chosen(cohort, 0.5)}" for cohort in cohorts]
    user = "user-0"
    assert shop.asked(users=[user]) == f"model/ring/{1 + chosen(user, 0.5)}"
    assert shop.version()["rows"] == 2 * sum(chosen(cohort, 0.5) for cohort in cohorts) + chosen(user, 0.5)


def test_where_the_canary_fails_the_pair_in_use_answers_and_the_canary_is_dismissed(world):
    shop = world(canary=1.0, guard_rows=4)
    shop.fails = True
    for _ in range(4):
        assert shop.asked(histories=[ids(1)]) == "model/ring/1"
    assert shop.done.wait(60)
    assert shop.dismissed == [("model/ring/2", "4 of 4 rows failed, serving.most_errors is 0.01")]
    assert shop.server.tally.errors == 0
    shop.fails = False
    assert shop.asked(histories=[ids(1)]) == "model/ring/1"


def test_clicks_on_what_the_candidate_ranks_lower_dismiss_it(world):
    shop = world(shadow=1.0, guard_clicks=4)
    shop.asked(histories=[ids(1)])
    listed = shop.client.post("/recommend", json={"histories": [ids(1)]}).json()["answers"][0]["items"]
    taken = next(item["item_id"] for item in listed if item["item_id"] in ids(*range(10)))  # turned, it is not listed
    shop.turns = True
    for _ in range(4):
        assert shop.clicked(histories=[ids(1)], items=[taken]).json() == {"counted": 1, "note": ""}
    assert shop.done.wait(60)
    assert shop.dismissed[0][1].startswith("it ranks what is clicked lower")
    found = shop.clicked(histories=[ids(1)], items=[taken])
    assert found.json() == {"counted": 0, "note": "no pair is on trial, or --guard-clicks is 0"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"histories": [ids(1)], "items": ids(1, 2)}, "items"),
        ({"histories": [ids(1)], "users": ["user-1"], "items": ids(1)}, "rows"),
        ({"users": [None], "items": ids(1)}, "rows"),
        ({"histories": [ids(1)], "items": []}, "body"),
        ({"histories": [ids(1)], "items": [3]}, "body"),
    ],
)
def test_clicks_that_mean_nothing_are_refused(world, body, code):
    refused = world(shadow=1.0, guard_clicks=4).clicked(**body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, code)


def test_clicks_hold_a_promoted_pair_against_the_one_before_and_nothing_else_does_later(world):
    shop = world(guard_clicks=4, guard_rows=2, most_errors=0.0)
    shop.server.withdraw = shop.dismiss
    shop.server.try_out(None)
    shop.server.use(shop.second)
    for _ in range(2):
        assert shop.asked(histories=[ids(1)]) == "model/ring/2"
    assert shop.server.judged
    shop.fails = True
    assert shop.client.post("/recommend", json={"histories": [ids(1)]}).status_code == 503
    shop.fails = False
    listed = shop.client.post("/recommend", json={"histories": [ids(1)]}).json()["answers"][0]["items"]
    taken = next(item["item_id"] for item in listed if item["item_id"] in ids(*range(10)))
    assert not shop.dismissed  # rows after the first ones decide nothing
    shop.turns = True
    for _ in range(4):
        assert shop.clicked(histories=[ids(1)], items=[taken]).json()["counted"] == 1
    assert shop.done.wait(60)
    assert shop.dismissed[0][1].startswith("it ranks what is clicked lower")
    assert shop.asked(histories=[ids(1)]) == "model/ring/1"
