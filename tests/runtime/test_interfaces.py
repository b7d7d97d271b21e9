"""Workers of several machines are joined at the addresses of Ray's nodes, whatever a machine calls itself."""

import socket

import psutil
import pytest
import ray

from unisid.runtime import interfaces
from unisid.runtime.interfaces import GLOO, OnNodes, interface_of


def test_an_address_has_the_interface_that_bears_it():
    found = interface_of("127.0.0.1")
    assert found is not None
    assert "127.0.0.1" in {a.address for a in psutil.net_if_addrs()[found] if a.family == socket.AF_INET}
    assert interface_of("203.0.113.7") is None, "of no machine: it is for examples"


@pytest.mark.parametrize(
    ("address", "before", "after"),
    [("127.0.0.1", None, "own"), ("127.0.0.1", "eth7", "eth7"), ("203.0.113.7", None, None)],
)
def test_a_worker_is_joined_by_its_nodes_interface_unless_told_another(monkeypatch, address, before, after):
    class Workers:
        """One of a group, which does at once what it is told."""

        def execute(self, what, **settings):
            what(**settings)

        def execute_single(self, rank, what):
            raise InterruptedError(seen.append(interfaces.os.environ.get(GLOO)))

    seen = []
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: address)
    monkeypatch.setenv(GLOO, before or "")
    if before is None:
        monkeypatch.delenv(GLOO)
    config = OnNodes(backend="gloo")
    with pytest.raises(InterruptedError):  # when its peers' address is asked for, its own interface is named
        config.backend_cls().on_start(Workers(), config)
    assert seen == [interface_of("127.0.0.1") if after == "own" else after]
