"""Items come in over HTTP: refused at once where they cannot be added, added one table after the other."""

import asyncio

import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from tests.serving.ring_pair import pair
from unisid.artifacts.store import Place, Store
from unisid.runtime.http.adding import MOST_WAITING, Adding
from unisid.runtime.http.app import application
from unisid.runtime.http.refusal import RefusedError
from unisid.runtime.http.server import Server
from unisid.serving.settings import Serving


class Index:
    """Adds tables when it is let, one at a time."""

    def __init__(self, folder, fails=""):
        self.tables, self.at_once, self.fails, self.go = [], 0, fails, asyncio.Event()
        self.adding = Adding(Store(Place.of(folder)), "shop", self.run)

    async def run(self, uri):
        self.at_once += 1
        assert self.at_once == 1
        await self.go.wait()
        self.tables.append(pq.read_table(uri.removeprefix("file://")).to_pylist())
        self.at_once -= 1
        return self.fails


def item(number):
    return {"item_id": f"new-{number}", "title": "a red lamp"}


def test_tables_are_added_one_after_the_other(tmp_path):
    async def come():
        index = Index(tmp_path)
        assert await index.adding.add([item(1), item(2)]) == {"accepted": 2, "waiting": 0}
        assert await index.adding.add([item(3)]) == {"accepted": 1, "waiting": 1}
        assert index.adding.state() == {"waiting": 2, "added": 0, "failed": ""}
        index.go.set()
        await asyncio.gather(*index.adding._work)
        assert index.tables == [[item(1), item(2)], [item(3)]]
        assert index.adding.state() == {"waiting": 0, "added": 3, "failed": ""}

    asyncio.run(come())


def test_what_cannot_be_added_is_refused(tmp_path):
    async def come():
        index = Index(tmp_path)
        with pytest.raises(RefusedError, match=r"item 1 has the columns item_id; must be those of the first"):
            await index.adding.add([item(1), {"item_id": "2"}])
        for number in range(MOST_WAITING):
            await index.adding.add([item(number)])
        with pytest.raises(RefusedError) as refused:
            await index.adding.add([item(99)])
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "10"})
        index.go.set()
        await asyncio.gather(*index.adding._work)

    asyncio.run(come())


def test_a_failure_is_shown(tmp_path):
    async def come():
        index = Index(tmp_path, fails="the code space is full")
        index.go.set()
        await index.adding.add([item(1)])
        await asyncio.gather(*index.adding._work)
        assert index.adding.state() == {"waiting": 0, "added": 0, "failed": "the code space is full"}

    asyncio.run(come())


def test_a_process_that_cannot_be_begun_is_a_failure_and_the_next_table_is_added(tmp_path):
    async def come():
        index, begun = Index(tmp_path), []

        async def run(uri):
            begun.append(uri)
            if len(begun) == 1:
                raise BlockingIOError(11, "Resource temporarily unavailable")
            return ""

        index.adding.run = run
        await index.adding.add([item(1)])
        await asyncio.gather(*index.adding._work)
        assert index.adding.state() == {
            "waiting": 0,
            "added": 0,
            "failed": "[Errno 11] Resource temporarily unavailable",
        }
        await index.adding.add([item(2)])
        await asyncio.gather(*index.adding._work)
        assert index.adding.state() == {"waiting": 0, "added": 1, "failed": ""}

    asyncio.run(come())


def test_the_command_says_why_it_failed(tmp_path):
    adding = Adding(Store(Place.of(tmp_path / "store")), "shop")
    why = asyncio.run(adding._command("nothing.parquet"))
    assert "store" in why
    assert "Traceback" not in why
    assert "must be a table of items" not in why


def test_over_http(tmp_path):
    server = Server(Serving(most_added=2))
    server.use(pair(tmp_path / "pair"))
    with TestClient(application(server)) as client:
        refused = client.post("/items", json={"items": [item(1)]})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "adds")
        index = Index(tmp_path)
        index.go.set()
        server.adding = index.adding
        taken = client.post("/items", json={"items": [item(1)]})
        assert (taken.status_code, taken.json()) == (202, {"accepted": 1, "waiting": 0})
        for wrong in ({"items": []}, {"items": [{"item_id": 7}]}, {"items": [item(n) for n in range(3)]}, {}):
            assert client.post("/items", json=wrong).status_code == 422
        assert client.get("/version").json()["adding"]["failed"] == ""
