"""Whether the MLflow of a tracking URI can be used: one request to a server, one statement to a database."""

import socket
from urllib.parse import urlsplit

import sqlalchemy
from mlflow.tracking._tracking_service.utils import get_default_host_creds
from mlflow.utils.rest_utils import http_request, verify_rest_response

from unisid.runtime.tracking_faults import BACK, TROUBLES, Fault, fault

PATIENCE = 3.0
"""Seconds to wait for a server."""
PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
"""Where servers answer whose URI has no port."""
WAITING = ("postgresql", "mysql")
"""Databases whose drivers take how long to wait."""
SEARCH = "/api/2.0/mlflow/experiments/search"


def kind_of(uri: str) -> str:
    """'postgresql+psycopg2://host/name' -> 'postgresql'."""
    return urlsplit(uri).scheme.partition("+")[0]


def unreached(uri: str) -> Fault | None:
    """The fault of the server or the database server of a URI; None where it answers as it should."""
    parts, kind = urlsplit(uri), kind_of(uri)
    try:
        port = parts.port or PORTS.get(kind, 0)
    except ValueError:
        return Fault("its port is no number from 0 to 65535", f"leave it out for {PORTS.get(kind, 'the usual one')}")
    try:
        if parts.hostname and port and not answers(parts.hostname, port):
            return Fault(f"nothing answers at port {port}", when=BACK)
        if kind in ("http", "https"):
            _ask(uri)
        else:
            _select(uri, kind)
    except TROUBLES as error:
        return fault(error)
    return None


def answers(host: str, port: int) -> bool:
    """Whether anything takes a connection."""
    try:
        with socket.create_connection((host, port), timeout=PATIENCE):
            return True
    except OSError:
        return False


def _ask(uri: str) -> None:
    """Have a server look for one experiment, as this user."""
    answer = http_request(
        get_default_host_creds(uri),
        SEARCH,
        "GET",
        max_retries=0,
        timeout=PATIENCE,
        raise_on_status=False,
        params={"max_results": 1},
    )
    verify_rest_response(answer, SEARCH)


def _select(uri: str, kind: str) -> None:
    """Have a database select a number; MLflow's own connection would make its tables."""
    waiting = {"connect_timeout": int(PATIENCE)} if kind in WAITING else {}
    engine = sqlalchemy.create_engine(uri, connect_args=waiting)
    try:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
    finally:
        engine.dispose()
