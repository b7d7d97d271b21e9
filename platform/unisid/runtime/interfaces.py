"""How the workers of a group on several machines find one another: at the addresses by which Ray's nodes do.

Gloo by itself listens at the address that the machine's own name stands for. Where that is loopback, as an installation
of Debian has it, no other machine reaches it.
"""

import os
import socket
from dataclasses import dataclass
from typing import Any

import psutil
import ray
from ray.train.torch import TorchConfig
from ray.train.torch.config import _TorchBackend

GLOO = "GLOO_SOCKET_IFNAME"


@dataclass
class OnNodes(TorchConfig):
    """Workers that gloo joins by the interface of their node's address, unless the environment names another."""

    @property
    def backend_cls(self) -> type:
        return _ByAddress


class _ByAddress(_TorchBackend):
    def on_start(self, worker_group: Any, backend_config: OnNodes) -> None:
        worker_group.execute(_name_interface)
        super().on_start(worker_group, backend_config)


def _name_interface() -> None:
    found = interface_of(ray.util.get_node_ip_address())
    if found is not None:
        os.environ.setdefault(GLOO, found)


def interface_of(address: str) -> str | None:
    """The network interface of this machine that has an address; None where none has it, as behind a translation."""
    for name, those in psutil.net_if_addrs().items():
        if any(one.family in (socket.AF_INET, socket.AF_INET6) and one.address == address for one in those):
            return name
    return None
