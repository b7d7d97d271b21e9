"""A Ray of our own on this machine: reached from here only, with a token, and in a session of its own, so that a
signal to this process's group (Ctrl-C, `timeout`, systemd) reaches this process alone, which then ends its Ray.

These are our own settings, whatever a version of Ray does by itself. A cluster that is given is none of this
module's.
"""

import contextlib
import functools
import os
import secrets
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants, services
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]
from ray.train.torch import TorchConfig
from ray.train.torch.config import _set_torch_distributed_env_vars, _setup_torch_process_group, _TorchBackend

LOOPBACK = "127.0.0.1"
INTERFACE = "lo" if sys.platform.startswith("linux") else "lo0"
ONE_MACHINE = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
"""Ray's own setting for a node that is joined by no other: without it, it takes an address that others can reach."""


@contextlib.contextmanager
def guarded() -> Iterator[dict[str, Any]]:
    """The settings of such a Ray for `ray.init`; inside, the environment that its processes inherit is set."""
    ours = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        ONE_MACHINE: "0",
        # what joins the workers of a group
        "GLOO_SOCKET_IFNAME": INTERFACE,
        "NCCL_SOCKET_IFNAME": INTERFACE,
    }
    with _environment(ours), _one_machine(), _apart():
        _read_again()
        try:
            yield {"_node_ip_address": LOOPBACK, "dashboard_host": LOOPBACK}
        finally:
            AuthenticationTokenLoader.instance().reset_cache()
    _read_again()


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _one_machine() -> Iterator[None]:
    """Ray reads this setting once, when it is imported."""
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextlib.contextmanager
def _apart() -> Iterator[None]:
    """Inside, Ray's processes are begun in sessions of their own; its workers are in that of the process that began
    them. Ray has no setting for it."""
    before = services.ConsolePopen
    services.ConsolePopen = functools.partial(before, start_new_session=True)
    try:
        yield
    finally:
        services.ConsolePopen = before


def _read_again() -> None:
    """Make Ray's core in this process take the mode and the token from the environment, as it now is."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@dataclass
class OneMachine(TorchConfig):
    """How the workers of a group find one another: by a file, for PyTorch's own server listens to all machines."""

    folder: str = ""
    """Where the file lies."""

    @property
    def backend_cls(self) -> type:
        return _ByFile


class _ByFile(_TorchBackend):
    def on_start(self, worker_group: Any, backend_config: OneMachine) -> None:
        worker_group.execute(_set_torch_distributed_env_vars)
        worker_group.execute(_name_master)
        size, url = len(worker_group), f"file://{backend_config.folder}/{uuid.uuid4().hex}"
        ray.get(
            [
                worker_group.execute_single_async(
                    rank,
                    _setup_torch_process_group,
                    backend=backend_config.backend,
                    world_rank=rank,
                    world_size=size,
                    init_method=url,
                    timeout_s=backend_config.timeout_s,
                )
                for rank in range(size)
            ]
        )


def _name_master() -> None:
    """DeepSpeed wants these named, and does not use them where workers are joined already."""
    os.environ |= {"MASTER_ADDR": LOOPBACK, "MASTER_PORT": "29500"}


def logs() -> str:
    """The folder of the session's logs."""
    return str(Path(ray.nodes()[0]["ObjectStoreSocketName"]).parents[1] / "logs")
