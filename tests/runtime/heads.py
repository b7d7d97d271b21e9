"""A real Ray cluster on this machine: a head with its dashboard on loopback, and further nodes; ended by pid."""

import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

ROOT = Path(__file__).parents[2]
RAY = Path(sys.executable).with_name("ray")


@dataclass(frozen=True)
class Head:
    """A running head: where it is reached, and with which environment."""

    address: str
    """Of the cluster: host:port."""
    dashboard: str
    env: dict[str, str]

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `ray WORDS` against this head, from the repository's root."""
        return subprocess.run(
            [str(RAY), *words], cwd=ROOT, env=self.env, capture_output=True, text=True, check=False, timeout=600
        )

    def nodes(self) -> int:
        """How many nodes the cluster has."""
        return len(re.findall(r"^ 1 node_", self.command("status", "--address", self.address).stdout, re.MULTILINE))


def free_ports(count: int) -> list[int]:
    """Distinct ports that are free."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(contextlib.closing(socket.socket())) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def head(cpus: int = 4) -> Iterator[Head]:
    """A head that asks for a token."""
    port, dashboard, client, *own = free_ports(5)
    folder = tempfile.mkdtemp(prefix="unisid-", dir="/tmp")  # sockets lie in it: their paths must be short
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    url = f"http://127.0.0.1:{dashboard}"
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_", "PYTHONPATH", "UNISID_"))}
    path = f"{RAY.parent}{os.pathsep}{plain.get('PATH', '')}"
    patient = {"RAY_JOB_STOP_WAIT_TIME_S": "100"}  # before a job that was told to stop is killed
    env = plain | token | patient | {"RAY_API_SERVER_ADDRESS": url, "PATH": path, "RAY_USAGE_STATS_ENABLED": "0"}
    words = [
        "--head",
        f"--port={port}",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={dashboard}",
        f"--ray-client-server-port={client}",
        f"--temp-dir={folder}",
        f"--num-cpus={cpus}",
    ]
    try:
        with started(words, own, env):
            until(lambda: _answers(url), "the dashboard answers")
            yield Head(f"127.0.0.1:{port}", url, env)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def started(words: list[str], ports: list[int], env: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """`ray start --block` with these words, until the context ends."""
    agent, metrics = ports
    # workers of all nodes listen on this machine: each node must draw their ports at random, or two draw the same
    command = [
        str(RAY),
        "start",
        "--block",
        "--node-ip-address=127.0.0.1",
        "--disable-usage-stats",
        "--min-worker-port=0",
        "--max-worker-port=0",
        f"--dashboard-agent-listen-port={agent}",
        f"--metrics-export-port={metrics}",
        f"--object-store-memory={200 << 20}",
        *words,
    ]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            yield process
        finally:
            end(process)


def end(process: "subprocess.Popen[bytes]", seconds: float = 10.0) -> None:
    """End a node: let it drain for so long, then as a machine ends whose power is cut."""
    if process.poll() is not None:
        return
    parts = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    if seconds:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
    for part in parts:
        with contextlib.suppress(psutil.NoSuchProcess):
            part.kill()
    process.wait()


def until(holds, what: str, seconds: float = 180.0, every: float = 0.2) -> None:
    """Wait for something to hold, looking again every so many seconds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds:g} s until {what}"
        time.sleep(every)


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"{url}/api/version", timeout=5).status_code in (200, 401)
    return False
