"""Load on a served pair while replicas are killed and it is swapped: python -m tests.runtime.http.faults --seconds 600

Requests are due at Poisson arrivals, whether or not earlier ones are answered. Every answer must be that of the pair
that it names, every refusal a 5xx with an error in words, and none may hang.
"""

import argparse
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from mlflow import MlflowClient

from tests.runtime.http import cluster
from tests.serving import ring_pair
from unisid.artifacts.store import Store
from unisid.runtime.ray_compute import RayCompute

HUNG = 60.0
"""Seconds after which a request counts as hung."""
REQUEST = {"histories": [ring_pair.ids(1, 2)] * 3, "k": 7}


class Trial:
    """What becomes of requests while replicas are killed and the pair is swapped."""

    def __init__(self, port: int, client: MlflowClient, versions: cluster.Registered, store: Store) -> None:
        self.port, self.client, self.versions = port, client, versions
        self.expected = cluster.expected_of(store)
        self.counts: Counter[str] = Counter()
        """By 'right', 'wrong', 'hung', and by the status of a refusal."""
        self.pairs: Counter[str] = Counter()
        """Right answers by model."""
        self.wrong: list[Any] = []
        """What must not be: wrong answers, refusals that are no 5xx in words, requests that hang."""
        self.seconds: list[float] = []
        """Of every answer, from when it was due."""
        self.killed = self.swapped = 0
        self.over = threading.Event()

    def run(self, seconds: float, rate: float, kill: float, swap: float, kills: int = 0) -> None:
        """Send requests for so long; kill a replica and swap the pair every so many seconds.

        Args:
            rate: requests a second.
            kills: it goes on until so many replicas were killed: a slow machine takes its time to start others.
        """
        threads = [threading.Thread(target=self._again, args=each) for each in ((kill, self._kill), (swap, self._swap))]
        for thread in threads:
            thread.start()
        begun = time.monotonic()
        random, arrival = np.random.default_rng(0), 0.0
        with ThreadPoolExecutor(256) as pool:
            while arrival < seconds or self.killed < kills:
                time.sleep(max(0.0, begun + arrival - time.monotonic()))
                pool.submit(self._request, begun + arrival)
                arrival += random.exponential(1 / rate)
        self.over.set()
        for thread in threads:
            thread.join()

    def _request(self, due: float) -> None:
        try:
            status, answer = cluster.call(self.port, "/recommend", REQUEST, HUNG)
        except json.JSONDecodeError as error:
            kind, answer, right = "not in words", str(error), False
        except OSError as error:
            kind, answer, right = "hung", str(error), False
        else:
            right = self._is_right(answer) if status == 200 else 500 < status < 600
            kind = ("right" if right else "wrong") if status == 200 else str(status)
        self.seconds.append(time.monotonic() - due)
        self.counts[kind] += 1
        self.wrong += [] if right else [(kind, answer)]

    def _is_right(self, answer: Any) -> bool:
        right = cluster.pair_and_items(answer) == self.expected.get(answer["pair"]["model_fingerprint"])
        self.pairs[answer["pair"]["model"]] += right
        return right

    def _again(self, every: float, act: Callable[[], None]) -> None:
        while not self.over.wait(every):
            act()

    def _kill(self) -> None:
        """Kill a replica where another one can answer meanwhile."""
        alive = replicas()
        if len(alive) > 1:
            alive[self.killed % len(alive)].kill()
            self.killed += 1

    def _swap(self) -> None:
        self.swapped += 1
        cluster.put_into_use(self.client, self.versions[self.swapped % 2])


def replicas() -> list[psutil.Process]:
    """The processes of the replicas that are alive."""
    family = psutil.Process().children(recursive=True)
    return [process for process in family if "ServeReplica:shop" in _command_of(process)]


def _command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def main() -> int:
    """Returns 1 where an answer was wrong, untyped or late for ever."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=float, default=10.0, help="requests a second")
    known = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, RayCompute.open(cpus=4):
        store = ring_pair.store(Path(folder) / "store", 1, 2)
        with cluster.serving(store, Path(folder)) as (port, client, versions):
            trial = Trial(port, client, versions, store)
            trial.run(known.seconds, known.rate, kill=20.0, swap=30.0)
    p50, p99 = np.percentile(trial.seconds, [50, 99])
    print(f"{dict(trial.counts)}, of {dict(trial.pairs)}; {trial.killed} replicas killed, {trial.swapped} swaps")
    print(f"p50 {1000 * p50:.0f} ms, p99 {1000 * p99:.0f} ms, longest {max(trial.seconds):.1f} s")
    print(*trial.wrong[:5], sep="\n")
    return 1 if trial.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
