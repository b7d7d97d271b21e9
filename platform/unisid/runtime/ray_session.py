"""One Ray session: started on this machine, or attached to a running cluster; it carries what every worker needs."""

import contextlib
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ray
from ray.util import placement_group_table

import unisid
from unisid.errors import ConfigError
from unisid.runtime.leftovers import sweep, watched
from unisid.runtime.ray_local import guarded, logs
from unisid.signals import kept

SETTINGS = {
    # Train's controller looks at its workers this often; by default a dead worker goes unnoticed for two seconds
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    # a busy machine needs more than the default minute to start a group
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "180",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # requests whose replica is lost are tried again or refused in words
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "unisid.runtime.http.proxy.middlewares",
    # whether files are compared with their checksums when they are first read
    "UNISID_VERIFY": "once",
}
"""Environment variables of every process of a session, unless they are set already."""
OBJECT_STORE = 2 << 30
"""Bytes that our own Ray holds in shared memory; more than that spills to disk."""


@contextlib.contextmanager
def session(address: str | None = None, cpus: int | None = None, dashboard: bool = False) -> Iterator[bool]:
    """A Ray session, for as long as the context lasts; one that already runs in this process is used and left alone.

    Yields whether it is this machine's own, not a cluster's.

    Args:
        address: a cluster to attach to; without it RAY_ADDRESS (which `ray job submit` sets), and else a Ray of our
            own on this machine.
        cpus: cores our own Ray may hand out; by default two more than the machine has, at least 4: train workers
            and the actors of a map must fit side by side, and the operating system shares the cores well.
        dashboard: for our own Ray.
    """
    ours = not ray.is_initialized()
    address = address or os.environ.get("RAY_ADDRESS")
    if not ours:
        yield not address
        return
    with contextlib.ExitStack() as stack:
        if address:
            stack.callback(ray.shutdown)
            start(address, cpus, dashboard, {})
        else:
            sweep()
            follow, guard = stack.enter_context(watched()), stack.enter_context(guarded())
            stack.callback(ray.shutdown)
            start(address, cpus, dashboard, guard)
            follow(logs())
        yield not address


def start(address: str | None, cpus: int | None, dashboard: bool, guard: Mapping[str, Any]) -> None:
    """Attach to the cluster at `address`, or start Ray on this machine, whose processes inherit our environment."""
    settings = {name: os.environ.setdefault(name, value) for name, value in SETTINGS.items()}
    own: dict[str, Any] = {
        "num_cpus": cpus or max(4, 2 + (os.cpu_count() or 1)),
        "include_dashboard": dashboard,
        "object_store_memory": OBJECT_STORE,
        **guard,
    }
    # Ray's core prints an error for every actor pool of Ray Data, which is none; set it to "info" to see all
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if not address:
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")  # this machine is not taken away
    with _hushed(), kept():  # Ray listens for SIGTERM too, and ends the process without a word
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **({"runtime_env": runtime_env(settings)} if address else own),
            )
        except Exception as error:
            if isinstance(error, OSError) and error.filename is not None:
                raise  # a folder or a disk
            raise _refused(address, error) from error
    for logger in ("ray.data", "ray.train"):
        logging.getLogger(logger).setLevel(logging.ERROR)


def _refused(address: str | None, error: Exception) -> ConfigError:
    first = str(error).strip().partition("\n")[0] or type(error).__name__
    if address:
        needed = (
            "a cluster that runs, and its token (RAY_AUTH_MODE, RAY_AUTH_TOKEN); without RAY_ADDRESS one starts here"
        )
        return ConfigError(f"Ray at {address}: cannot be reached ({first}); needed are {needed}")
    if "AF_UNIX path length" in first:
        return ConfigError(f"TMPDIR: its path is too long for Ray's sockets ({first}); set a shorter one, such as /tmp")
    logs = "its logs lie in /tmp/ray/session_latest/logs"
    return ConfigError(f"Ray on this machine: cannot be started ({first}); {logs}; --compute local does without it")


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Keep what Ray's core writes past Python to standard error (that its log level was set) off the terminal."""
    sys.stderr.flush()
    terminal, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nothing)


def runtime_env(settings: dict[str, str]) -> dict[str, Any]:
    """Ray's runtime environment for a cluster's workers: settings, and this very package, so that all run one version.

    Whatever the job was submitted with stays as it is.
    """
    job = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR") or "{}").get("runtime_env") or {}
    given = job.get("env_vars") or {}
    found: dict[str, Any] = {"env_vars": {k: v for k, v in settings.items() if k not in given}}
    if "py_modules" not in job:
        found["py_modules"] = [str(Path(unisid.__file__).parent)]
    return found


def total(resource: str) -> float:
    """How much of a resource ("CPU", "GPU") the session has, or is said to grow to: UNISID_CLUSTER_CPUS, _GPUS.

    A cluster that grows on demand may have nothing yet, and its head does not say what it can have.
    """
    name = f"UNISID_CLUSTER_{resource}S"
    said = os.environ.get(name) or "0"
    if not said.replace(".", "", 1).isdigit():
        raise ConfigError(f"{name}: is '{said}'; must be how many {resource}s the cluster may grow to, such as 64")
    return max(float(ray.cluster_resources().get(resource, 0.0)), float(said))


def largest(resource: str) -> float:
    """How much of a resource the node has that has most of it."""
    return max(_by_node(resource).values(), default=0.0)


def each(resource: str) -> list[float]:
    """How much of a resource each node has; nothing where the cluster grows, for nodes come as they are needed."""
    return _unless_it_grows(resource, _by_node(resource))


def free(resource: str) -> list[float]:
    """The same without what groups of workers hold, at work or idle."""
    left = _by_node(resource)
    for group in placement_group_table().values():
        for number, node in group["bundles_to_node_id"].items():
            if group["state"] == "CREATED" and node in left:
                left[node] = max(0.0, left[node] - group["bundles"][number].get(resource, 0.0))
    return _unless_it_grows(resource, left)


def _by_node(resource: str) -> dict[str, float]:
    return {node["NodeID"]: float(node["Resources"].get(resource, 0.0)) for node in ray.nodes() if node["Alive"]}


def _unless_it_grows(resource: str, found: Mapping[str, float]) -> list[float]:
    return [] if total(resource) > float(ray.cluster_resources().get(resource, 0.0)) else list(found.values())
