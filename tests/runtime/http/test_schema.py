"""Every path of the OpenAPI page under generated requests, good and bad: what comes back is what the page says."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from tests.serving.ring_pair import pair
from unisid.runtime.http.app import application
from unisid.runtime.http.server import Server
from unisid.serving.settings import Serving

PATHS = (
    "POST /recommend",
    "POST /clicks",
    "POST /items",
    "GET /items",
    "GET /items/{item_id}",
    "GET /healthz",
    "GET /version",
    "GET /metrics",
)


@pytest.fixture(scope="module")
def operations(tmp_path_factory):
    """Method and path -> what the OpenAPI page says of it."""
    server = Server(Serving(most_rows=20, most_k=20, most_body=100_000, guard_clicks=5))
    shop = pair(tmp_path_factory.mktemp("schema"))
    server.use(shop)
    server.try_out(shop)
    schema = schemathesis.openapi.from_asgi("/openapi.json", application(server))
    return {found.ok().label: found.ok() for found in schema.get_all_operations()}


def test_every_path_is_described(operations):
    assert set(operations) == set(PATHS)


@pytest.mark.parametrize(
    ("path", "mode"),
    [  # any text is a good id, so there are no bad ones
        ("POST /recommend", GenerationMode.POSITIVE),
        ("POST /recommend", GenerationMode.NEGATIVE),
        ("POST /clicks", GenerationMode.POSITIVE),
        ("POST /clicks", GenerationMode.NEGATIVE),
        ("POST /items", GenerationMode.POSITIVE),
        ("POST /items", GenerationMode.NEGATIVE),
        ("GET /items", GenerationMode.POSITIVE),
        ("GET /items", GenerationMode.NEGATIVE),
        ("GET /items/{item_id}", GenerationMode.POSITIVE),
    ],
)
def test_no_generated_request_is_a_fault(operations, path, mode):
    statuses = set()

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(operations[path].as_strategy(generation_mode=mode))
    def asked(case):
        answer = case.call()
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert set(answer.json()["error"]) == {"code", "message"}
        statuses.add(answer.status_code)

    asked()
    assert statuses
