"""Batches of rows that wait at the same time: whole under load, in order, each row by its own pair."""

import asyncio
import threading

import pytest

from tests.recommenders import N
from tests.runtime.test_ray_serve import of_version
from tests.serving import ring_pair
from unisid.errors import ArtifactError
from unisid.runtime.http import batches
from unisid.runtime.http.batches import Batches
from unisid.runtime.http.measures import Measures
from unisid.serving.answers import Query, answers
from unisid.serving.settings import Serving


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ring_pair.store(tmp_path_factory.mktemp("batches"), 1, 2)


def counted(monkeypatch, until=None):
    """The sizes of batches; the first one waits for an event."""
    sizes = []

    def by_pair(rows):
        sizes.append(len(rows))
        if until is not None and len(sizes) == 1:
            until.wait(60)
        return [query for _, query in rows]

    monkeypatch.setattr(batches, "by_pair", by_pair)
    return sizes


@pytest.mark.parametrize("wait", [0.0, 0.001])
def test_what_comes_while_a_batch_is_ranked_is_the_next_batch(monkeypatch, wait):
    ranked = threading.Event()
    sizes = counted(monkeypatch, ranked)

    async def ask():
        found = Batches(Serving(batch_size=8, batch_wait=wait), Measures())
        first = asyncio.create_task(found.rank(None, ["a"]))
        await asyncio.sleep(0.05)
        rest = []
        for number in range(11):
            rest.append(asyncio.create_task(found.rank(None, [number])))
            await asyncio.sleep(0.005)
        ranked.set()
        return await asyncio.gather(first, *rest)

    assert asyncio.run(ask()) == [["a"], *([number] for number in range(11))]
    assert sizes == [1, 8, 3]


def test_a_row_waits_for_others_no_longer_than_it_may(monkeypatch):
    sizes = counted(monkeypatch)

    async def ask(wait, apart):
        found = Batches(Serving(batch_size=4, batch_wait=wait), Measures())
        tasks = []
        for number in range(4):
            tasks.append(asyncio.create_task(found.rank(None, [number])))
            await asyncio.sleep(apart)
        await asyncio.gather(*tasks)

    asyncio.run(ask(10.0, 0.01))  # full before the time is over
    assert sizes == [4]
    asyncio.run(ask(0.0, 0.01))
    assert sizes == [4, 1, 1, 1, 1]


def test_a_request_of_many_rows_is_several_batches_in_order(monkeypatch):
    sizes = counted(monkeypatch)
    found = asyncio.run(Batches(Serving(batch_size=4), Measures()).rank(None, [*range(10)]))
    assert found == [*range(10)]
    assert sizes == [4, 4, 2]


def test_a_fault_is_that_of_its_batch_and_the_next_one_is_ranked(monkeypatch):
    def by_pair(rows):
        if rows[0][1] == "broken":
            raise ValueError("a fault")
        return [query for _, query in rows]

    monkeypatch.setattr(batches, "by_pair", by_pair)

    async def ask():
        found = Batches(Serving(batch_size=1), Measures())
        return await asyncio.gather(*(found.rank(None, [name]) for name in ("broken", "b")), return_exceptions=True)

    fault, answer = asyncio.run(ask())
    assert (str(fault), answer) == ("a fault", ["b"])


def test_rows_of_two_pairs_are_ranked_by_their_own(store, monkeypatch):
    first, second = of_version(store, "1"), of_version(store, "2")
    query = Query(history=ring_pair.ids(1, 2), k=N - 2)
    found = batches.by_pair([(first, query), (second, query), (first, query)])
    expected = [answers(each, [query])[0].items.tolist() for each in (first, second)]
    assert [row.items.tolist() for row in found] == [expected[0], expected[1], expected[0]]
    assert expected[0] != expected[1]

    def broken(pair, rows):
        if pair is second:
            raise ArtifactError("damaged")
        return answers(pair, rows)

    monkeypatch.setattr(batches, "answers", broken)
    found = batches.by_pair([(first, query), (second, query)])
    assert found[0].items.tolist() == expected[0]
    assert isinstance(found[1], ArtifactError)
