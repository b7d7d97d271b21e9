"""Requests over HTTP under load that does not wait for answers: Poisson arrivals, percentiles over all requests.

python -m benchmarks.serving                    a plain FastAPI loop over `Recommender.rank`, on loopback
python -m benchmarks.serving --url URL [--token TOKEN]    a server that runs: unisid serve

A closed loop, whose callers wait for their answers, slows down with the server and hides what waits before it. Here a
request's time counts from when it was due, not from when it was sent. The highest load is what 8 waiting callers reach;
the open loops run at 50 and 80% of it.
"""

import argparse
import asyncio
import contextlib
import json
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pyarrow as pa
import torch
import uvicorn

from unisid.artifacts.catalog import TRAIN, write_interactions
from unisid.artifacts.codes import write_codes
from unisid.artifacts.model import write_model
from unisid.artifacts.record import Record, require, write_record
from unisid.artifacts.store import Address, Place, Store
from unisid.artifacts.tables import write_table
from unisid.backbones import Index, tiger
from unisid.config import to_record
from unisid.runtime.http.app import application
from unisid.runtime.http.server import Server
from unisid.serving.pair import Pair
from unisid.serving.settings import TOKEN, Serving

ITEMS, SIZE, HISTORY, K = 10_000, 64, 20, 10
CALLERS, SECONDS, AT_ONCE = 8, 10.0, 512
"""Callers of the closed loop; seconds of each loop; most requests of the open loop that are under way."""
SHARES = (0.5, 0.8)


@dataclass(frozen=True)
class Client:
    """Sends one kind of request."""

    session: aiohttp.ClientSession
    url: str
    item_ids: list[str]

    async def ask(self, seed: int) -> int:
        """The status of one answer; 0 for none."""
        history = np.random.default_rng(seed).choice(len(self.item_ids), HISTORY).tolist()
        body = {"histories": [[self.item_ids[item] for item in history]], "k": K}
        try:
            async with self.session.post(f"{self.url}/recommend", json=body) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0


async def closed_loop(client: Client, seconds: float) -> float:
    """Answers a second that callers get who wait for each."""
    ends = time.perf_counter() + seconds
    numbers = iter(range(1 << 30))

    async def caller() -> int:
        done = 0
        while time.perf_counter() < ends:
            done += await client.ask(next(numbers)) == 200
        return done

    return sum(await asyncio.gather(*(caller() for _ in range(CALLERS)))) / seconds


async def open_loop(client: Client, rate: float, seconds: float, seed: int = 0) -> dict[str, Any]:
    """Requests due at Poisson arrivals: milliseconds from when each was due, and how many were not answered."""
    gaps = np.random.default_rng(seed).exponential(1 / rate, max(1, int(rate * seconds)))
    begun = time.perf_counter()
    room, statuses, times = asyncio.Semaphore(AT_ONCE), Counter[int](), []

    async def one(number: int, due: float) -> None:
        async with room:
            status = await client.ask(number)
        statuses[status] += 1
        times.append(1000 * (time.perf_counter() - begun - due))

    tasks = []
    for number, due in enumerate(np.cumsum(gaps).tolist()):
        await asyncio.sleep(max(0.0, begun + due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*tasks)
    p50, p99 = np.percentile(times, [50, 99])
    figures = {"rate": rate, "p50_ms": float(p50), "p99_ms": float(p99)}
    counts = {"requests": len(times), "not_answered": len(times) - statuses[200]}
    return {name: round(value, 1) for name, value in figures.items()} | counts


async def measure(url: str, item_ids: list[str], token: str = "", seconds: float = SECONDS) -> dict[str, Any]:
    """The highest load of a server, and its times below it."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        client = Client(session, url, item_ids)
        await closed_loop(client, seconds / 5)  # what is made at first use
        highest = await closed_loop(client, seconds)
        loops = [await open_loop(client, max(0.5, share * highest), seconds) for share in SHARES]
    return {"highest_per_second": round(highest, 1), "open_loops": loops}


def small_store(folder: Path) -> Store:
    """A store with a catalogue of random interactions, a random index and an untrained TIGER."""
    store, rng = Store(Place.of(folder)), np.random.default_rng(0)
    catalog, codes, model = (store.place(Address.parse(f"{noun}/bench/1")) for noun in ("catalog", "codes", "model"))
    users = 1000
    write_interactions(
        catalog,
        np.repeat(np.arange(users), HISTORY),
        rng.integers(0, ITEMS, users * HISTORY),
        np.arange(users * HISTORY),
        np.full(users * HISTORY, TRAIN),
    )
    names = [f"item-{item}" for item in range(ITEMS)]
    write_table(catalog, "items", 0, pa.table({"item_id": names, "title": names, "text": names}))
    write_table(catalog, "users", 0, pa.table({"user_id": [f"user-{user}" for user in range(users)]}))
    _record(catalog, "catalog", {"history_length": HISTORY}, {"items": ITEMS, "users": users}, {})
    chosen = np.stack(np.unravel_index(rng.choice(SIZE**3, ITEMS, replace=False), (SIZE,) * 3), axis=1)
    write_codes(codes, chosen, (SIZE,) * 3)
    _record(codes, "codes", {}, {"sizes": [SIZE] * 3}, {"catalog": catalog})
    torch.manual_seed(0)
    settings = tiger.Config(width=64, num_heads=4, head_width=16, feedforward_width=128)
    backbone = settings.build(Index.of(chosen, (SIZE,) * 3))
    write_model(model, to_record(settings), backbone.weights(), backbone.files())
    _record(model, "model", to_record(settings), {}, {"codes": codes})
    return store


def _record(place: Place, noun: str, config: dict[str, Any], counts: dict[str, Any], inputs: dict[str, Place]) -> None:
    found = {role: require(source, role) for role, source in inputs.items()}
    entries = {role: {"address": each.address, "fingerprint": each.fingerprint} for role, each in found.items()}
    write_record(place, Record(address=f"{noun}/bench/1", config=config, inputs=entries, counts=counts))


@contextlib.contextmanager
def plain(store: Store) -> Iterator[str]:
    """A server in a thread of this process, without Ray: each request is ranked by itself; yields its URL."""
    places = {noun: store.place(Address.parse(f"{noun}/bench/1")) for noun in ("model", "codes", "catalog")}
    server = Server(Serving())
    server.use(Pair.load(places["model"], places["codes"], places["catalog"]).warm())
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        running = uvicorn.Server(uvicorn.Config(application(server), log_level="warning"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            running.should_exit = True
            thread.join()


def main(seconds: float = SECONDS) -> dict[str, Any]:
    """Figures of the plain loop."""
    with tempfile.TemporaryDirectory() as folder:
        store = small_store(Path(folder))
        with plain(store) as url:
            found = asyncio.run(measure(url, [f"item-{item}" for item in range(ITEMS)], seconds=seconds))
    return {"threads": torch.get_num_threads(), "items": ITEMS, "plain": found}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a server that runs; its items are taken from item-0 to item-9999 of --make")
    parser.add_argument("--token", default="", help=f"what the server wants ({TOKEN})")
    parser.add_argument("--make", metavar="FOLDER", help="write the store of the benchmark, for unisid serve, and end")
    known = parser.parse_args()
    if known.make:
        print(small_store(Path(known.make)).root)
    elif known.url:
        names = [f"item-{item}" for item in range(ITEMS)]
        print(json.dumps(asyncio.run(measure(known.url, names, known.token)), indent=2))
    else:
        print(json.dumps(main(), indent=2))
