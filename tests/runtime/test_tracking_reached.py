"""Whether a tracking URI can be used: kinds and ports by the URI, and what is wrong, never with its password."""

import socket

import pytest

from unisid.runtime import tracking_reached
from unisid.runtime.tracking_reached import answers, kind_of, unreached


@pytest.mark.parametrize(
    ("uri", "kind"),
    [("postgresql+psycopg2://host/name", "postgresql"), ("https://host", "https"), ("sqlite:///x.db", "sqlite")],
)
def test_kinds(uri, kind):
    assert kind_of(uri) == kind


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_a_port_where_nothing_answers(monkeypatch):
    port = closed_port()
    assert not answers("127.0.0.1", port)
    assert f"nothing answers at port {port}" in str(unreached(f"http://127.0.0.1:{port}"))
    monkeypatch.setitem(tracking_reached.PORTS, "http", port)
    assert f"port {port}" in str(unreached("http://user:secret@127.0.0.1"))
    assert "secret" not in str(unreached("http://user:secret@127.0.0.1"))


def test_a_port_that_is_none():
    assert "its port is no number from 0 to 65535" in str(unreached("http://host:99999"))


def test_a_database_answers_a_statement(tmp_path):
    assert unreached(f"sqlite:///{tmp_path}/x.db") is None
    assert unreached(f"sqlite:///{tmp_path}/no/folder/x.db") is not None
