"""A real Ray cluster on this machine: a head with its dashboard on loopback, and further nodes; ended by pid."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from unisid.runtime import PATIENCE

ROOT = Path(__file__).parents[2]
RAY = Path(sys.executable).with_name("ray")
LOOPBACK = "127.0.0.1"
LEAST = {
    # a node whose process refuses connections is dead after a second, not after 15; one that is slow to answer is not
    "RAY_health_check_period_ms": "200",
    # no workers beforehand: they lack the package that travels, and so nothing runs in them
    "RAY_prestart_worker_first_driver": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # workers give way to everything else by default: beside another test they would hardly run
    "RAY_worker_niceness": "0",
    **PATIENCE,
}
"""Settings of Ray's processes."""
STARTED = b"Ray runtime started"
"""What `ray start` says once the cluster has the node."""


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


@dataclass(frozen=True)
class Node:
    """A `ray start --block`, and where it writes what it says."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def joined(self) -> bool:
        """Whether the cluster has it."""
        assert self.process.poll() is None, self.log.read_text()
        return STARTED in self.log.read_bytes()


def free_ports(count: int) -> list[int]:
    """Distinct ports that are free."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(contextlib.closing(socket.socket())) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def head(
    cpus: int = 4, dashboard: bool = False, ip: str = LOOPBACK, within: Sequence[str] = (), **more: str
) -> Iterator[Head]:
    """A head that asks for a token; jobs can be submitted where it has a dashboard, which is ten processes more.

    Args:
        within: the command that begins it, if any: `ip netns exec NAME`.
        more: environment variables of all its processes, and of its nodes.
    """
    port, shown_at, client, *own = free_ports(5)
    folder = tempfile.mkdtemp(prefix="unisid-", dir="/tmp")  # sockets lie in it: their paths must be short
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    url = f"http://127.0.0.1:{shown_at}"
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_", "PYTHONPATH", "UNISID_"))}
    path = f"{RAY.parent}{os.pathsep}{plain.get('PATH', '')}"
    patient = {"RAY_JOB_STOP_WAIT_TIME_S": "100"}  # before a job that was told to stop is killed
    env = plain | token | patient | LEAST | {"RAY_API_SERVER_ADDRESS": url, "PATH": path} | more
    words = [
        "--head",
        f"--port={port}",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={shown_at}",
        f"--include-dashboard={dashboard}",
        f"--ray-client-server-port={client}",
        f"--temp-dir={folder}",
        f"--num-cpus={cpus}",
        f"--node-ip-address={ip}",
        "--no-monitor",
    ]
    try:
        with started(words, own, env, within) as node:
            until(node.joined, "the head is there")
            if dashboard:
                until(lambda: _answers(url), "the dashboard answers")
            yield Head(f"{ip}:{port}", url, env)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def node(
    head: Head, cpus: int = 2, ip: str = LOOPBACK, within: Sequence[str] = (), **more: str
) -> contextlib.AbstractContextManager[Node]:
    """A node beside a head, started but perhaps not there yet, until the context ends."""
    words = ["--address", head.address, f"--num-cpus={cpus}", f"--node-ip-address={ip}"]
    return started(words, free_ports(2), head.env | more, within)


@contextlib.contextmanager
def started(
    words: Sequence[str], ports: Sequence[int], env: Mapping[str, str], within: Sequence[str] = ()
) -> Iterator[Node]:
    """`ray start --block` with these words, until the context ends."""
    agent, metrics = ports
    # workers of all nodes listen on this machine: each node must draw their ports at random, or two draw the same
    command = [
        *within,
        str(RAY),
        "start",
        "--block",
        "--disable-usage-stats",
        "--min-worker-port=0",
        "--max-worker-port=0",
        f"--dashboard-agent-listen-port={agent}",
        f"--metrics-export-port={metrics}",
        f"--object-store-memory={200 << 20}",
        "--include-log-monitor=False",
        *words,
    ]
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            yield Node(process, Path(log.name))
        finally:
            end(process, seconds=0)  # all that it holds goes with it


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


def until(holds: Callable[[], object], what: str, seconds: float = 180.0, every: float = 0.2) -> None:
    """Wait for something to hold, looking again every so many seconds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds:g} s until {what}"
        time.sleep(every)


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"{url}/api/version", timeout=5).status_code in (200, 401)
    return False
