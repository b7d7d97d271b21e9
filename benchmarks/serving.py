"""Requests over HTTP: throughput and percentiles by batch wait and callers, beside a plain FastAPI loop.

python -m benchmarks.serving                    servers of this benchmark's own, on loopback
python -m benchmarks.serving --url URL [--token TOKEN]    a server that runs: unisid serve

A closed loop, whose callers wait for their answers, slows down with the server and hides what waits before it; the
highest load is the most that one of them reaches. In the open loops, at 50 and 80% of it, requests are due at Poisson
arrivals and a request's time counts from when it was due, not from when it was sent. `p99_batches` is their p99 over
the time that one request of a whole batch (64 rows) takes alone. Both are measured again before each open loop, which
is repeated; figures are medians of these rounds. Each request has one row. Servers are processes of their own.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
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
from fastapi import FastAPI

from unisid.artifacts.catalog import TRAIN, write_interactions
from unisid.artifacts.codes import write_codes
from unisid.artifacts.model import write_model
from unisid.artifacts.record import Record, require, write_record
from unisid.artifacts.store import Address, Place, Store
from unisid.artifacts.tables import write_table
from unisid.backbones import Index, tiger
from unisid.config import to_record
from unisid.serving.pair import Pair
from unisid.serving.settings import TOKEN

ITEMS, SIZE, HISTORY, K = 10_000, 64, 20, 10
WAITS, CALLERS = (0.0, 0.002, 0.01), (1, 8, 64)
SECONDS, ROUNDS, AT_ONCE, ROWS = 3.0, 3, 512, 64
"""Seconds of a loop; rounds of the open ones; most of its requests that are under way; rows of a whole batch."""
SHARES = (0.5, 0.8)


@dataclass(frozen=True)
class Client:
    """Sends one kind of request."""

    session: aiohttp.ClientSession
    url: str
    item_ids: list[str]

    async def ask(self, seed: int, rows: int = 1) -> int:
        """The status of one answer; 0 for none."""
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(self.item_ids), (rows, HISTORY)).tolist()
        body = {"histories": [[self.item_ids[item] for item in history] for history in chosen], "k": K}
        try:
            async with self.session.post(f"{self.url}/recommend", json=body) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0


async def closed_loop(client: Client, callers: int, seconds: float) -> dict[str, float]:
    """Answers a second that callers get who wait for each, and their milliseconds."""
    ends, times = time.perf_counter() + seconds, []
    numbers = iter(range(1 << 30))

    async def caller() -> None:
        while (begun := time.perf_counter()) < ends:
            if await client.ask(next(numbers)) == 200:
                times.append(1000 * (time.perf_counter() - begun))

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return {"per_second": round(len(times) / (time.perf_counter() - begun), 1), **percentiles(times)}


def percentiles(times: list[float]) -> dict[str, float]:
    """Their p50 and p99."""
    p50, p99 = np.percentile(times or [float("nan")], [50, 99])
    return {"p50_ms": round(float(p50), 1), "p99_ms": round(float(p99), 1)}


async def batch_ms(client: Client, times: int = 3) -> float:
    """Milliseconds of a request of a whole batch, alone: the median."""
    found = []
    for seed in range(times):
        begun = time.perf_counter()
        await client.ask(seed, ROWS)
        found.append(1000 * (time.perf_counter() - begun))
    return float(np.median(found))


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
    counts = {"requests": len(times), "not_answered": len(times) - statuses[200]}
    return {"rate": round(rate, 1), **percentiles(times)} | counts


async def measure(url: str, item_ids: list[str], token: str = "", seconds: float = SECONDS) -> dict[str, Any]:
    """The highest load of a server, and its times below it."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        client = Client(session, url, item_ids)
        await closed_loop(client, max(CALLERS), seconds / 5)  # what is made at first use
        closed = {str(callers): await closed_loop(client, callers, seconds) for callers in CALLERS}
        highest = max(each["per_second"] for each in closed.values())
        best = max(CALLERS, key=lambda callers: closed[str(callers)]["per_second"])
        found: dict[str, Any] = {"highest_per_second": highest, "callers": closed}
        for share in SHARES:
            rounds = [await one_round(client, share, best, seconds) for _ in range(ROUNDS)]
            found[f"at_{share:.0%}"] = {name: middle([each[name] for each in rounds]) for name in rounds[0]}
    return found


async def one_round(client: Client, share: float, callers: int, seconds: float) -> dict[str, Any]:
    """The open loop at a share of the highest load, which is measured before: on a shared machine it changes."""
    highest = (await closed_loop(client, callers, seconds / 2))["per_second"]
    batch = await batch_ms(client)
    figures = await open_loop(client, max(0.5, share * highest), seconds)
    return figures | {"batch_ms": round(batch, 1), "p99_batches": round(figures["p99_ms"] / batch, 2)}


def middle(values: list[float]) -> float:
    """Their median."""
    return round(float(np.median(values)), 2)


def small_store(folder: Path, users: int = 1000) -> Store:
    """A store with a catalogue of random interactions, a random index and an untrained TIGER."""
    store, rng = Store(Place.of(folder)), np.random.default_rng(0)
    catalog, codes, model = (store.place(Address.parse(f"{noun}/bench/1")) for noun in ("catalog", "codes", "model"))
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


def plain(store: Store) -> FastAPI:
    """A loop over `Recommender.rank`: one request after the other, without batches, limits or a queue."""
    model, codes, catalog = (store.place(Address.parse(f"{noun}/bench/1")) for noun in ("model", "codes", "catalog"))
    pair, app = Pair.load(model, codes, catalog).warm(), FastAPI()

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {}

    @app.post("/recommend")
    async def recommend(body: dict[str, Any]) -> dict[str, Any]:
        answers = []
        for history in body["histories"]:
            items, scores = pair.recommender.rank([[pair.item_of[item_id] for item_id in history]], body["k"])
            rows = zip(items[0].tolist(), scores[0].tolist(), strict=True)
            answers.append(
                [{"item_id": pair.item_ids[i], "title": pair.titles[i], "score": score} for i, score in rows]
            )
        return {"answers": answers}

    return app


@contextlib.contextmanager
def server(words: list[str]) -> Iterator[str]:
    """A server in a process of its own, with one thread for tensors; yields its URL once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-m", *words, "--port", str(port)], env=environment)
    url, until = f"http://127.0.0.1:{port}", time.monotonic() + 180
    try:
        while True:
            try:
                urllib.request.urlopen(f"{url}/healthz", timeout=5).close()
                break
            except OSError:
                if time.monotonic() > until or process.poll() is not None:
                    raise
                time.sleep(0.2)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def main(seconds: float = SECONDS, waits: tuple[float, ...] = WAITS, with_ray: bool = True) -> dict[str, Any]:
    """Figures of the plain loop, of one process by batch wait, and of Ray Serve with one replica."""
    names = [f"item-{item}" for item in range(ITEMS)]
    found: dict[str, Any] = {"items": ITEMS, "load_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as folder:
        small_store(Path(folder))
        ours = ["unisid.cli", "serve", "--store", folder, "--model", "model/bench/1"]
        servers = {"plain": ["benchmarks.serving", "--plain", folder]}
        for wait in waits:
            servers[f"wait_{1000 * wait:g}_ms"] = [*ours, "--compute", "local", "--batch-wait", str(wait)]
        if with_ray:
            servers["ray_serve_wait_2_ms"] = [*ours, "--compute", "ray", "--batch-wait", "0.002"]
        for name, words in servers.items():
            with server(words) as url:
                found[name] = asyncio.run(measure(url, names, seconds=seconds))
                found[name]["times_faster"] = round(
                    found[name]["highest_per_second"] / found["plain"]["highest_per_second"], 2
                )
    del found["plain"]["times_faster"]  # and it has no batches
    for share in SHARES:
        del found["plain"][f"at_{share:.0%}"]["p99_batches"]
    return found | {"load_after": os.getloadavg()[0]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a server that runs; its items are taken from item-0 to item-9999 of --make")
    parser.add_argument("--token", default="", help=f"what the server wants ({TOKEN})")
    parser.add_argument("--make", metavar="FOLDER", help="write the store of the benchmark, for unisid serve, and end")
    parser.add_argument("--plain", metavar="STORE", help="serve the plain loop at --port")
    parser.add_argument("--port", type=int, default=8000)
    known = parser.parse_args()
    if known.plain:
        uvicorn.run(plain(Store(Place.of(known.plain))), port=known.port, log_level="warning")
    elif known.make:
        print(small_store(Path(known.make)).root)
    elif known.url:
        names = [f"item-{item}" for item in range(ITEMS)]
        print(json.dumps(asyncio.run(measure(known.url, names, known.token)), indent=2))
    else:
        print(json.dumps(main(), indent=2))
