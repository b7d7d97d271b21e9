"""A count whose change reaches all replicas; a webhook at one of two real replicas changes the pair of both."""

import asyncio
import json
import time
import urllib.request

import pytest

from tests.runtime.http.cluster import call, put_into_use, serving
from tests.runtime.http.test_webhook import signed
from tests.serving import ring_pair
from unisid.runtime.http import webhook
from unisid.runtime.notifier import Count, Notifier
from unisid.runtime.registry import recommender_of


def test_calls_return_when_the_count_changes_or_their_time_is_over():
    async def ask():
        count = Count()
        first = await count.after(0, 60)
        waiting = [asyncio.create_task(count.after(first, 60)) for _ in range(3)]
        await asyncio.sleep(0)
        assert await count.after(first, 0.01) == first
        await count.add()
        return first, await asyncio.gather(*waiting), await count.after(first, 60)

    first, found, later = asyncio.run(ask())
    assert [*found, later] == [first + 1] * 4


def test_an_actor_that_is_made_again_has_another_count():
    first = Count()
    time.sleep(0.001)
    assert Count().value != first.value


def test_without_a_cluster_nothing_is_done_and_nothing_raised():
    acts = []
    notifier = Notifier(lambda: acts.append(1), 0.01)
    notifier.follow()
    notifier.notify()
    notifier.stop()
    assert acts == []


@pytest.mark.slow
def test_one_webhook_changes_the_pair_of_all_replicas(ray_compute, tmp_path):
    """An hour lies between two polls."""
    store = ring_pair.store(tmp_path / "store", 1, 2)
    event = {"entity": webhook.ALIAS, "action": "created", "data": {"name": recommender_of("shop")}}
    with serving(store, tmp_path, {webhook.SECRET: "between us"}, poll=3600.0) as (port, client, versions):

        def models():
            return {call(port, "/version")[1]["pair"]["model"] for _ in range(12)}

        before = models()
        other = ({1, 2} - {int(next(iter(before))[-1])}).pop()
        put_into_use(client, versions[other - 1])
        request = signed(event)
        url = f"http://127.0.0.1:{port}{webhook.PATH}"
        with urllib.request.urlopen(urllib.request.Request(url, request["content"], request["headers"])) as answer:
            assert json.load(answer) == {"looks": True}
        until = time.monotonic() + 60
        while models() != {f"model/ring/{other}"}:
            assert time.monotonic() < until
