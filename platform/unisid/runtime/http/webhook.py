"""`POST /webhooks/mlflow`: MLflow's notice that an alias moved, so that a server looks at the registry at once.

MLflow signs `id.timestamp.body` by HMAC-SHA256 with the secret that the webhook was registered with. The notice is no
more than a reason to look: what is in use is read from the registry, as at every poll, so one that is lost or repeated
does no harm.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
from typing import Any

from fastapi import FastAPI, Request
from starlette.datastructures import Headers
from starlette.responses import Response

from unisid.runtime.http.refusal import RefusedError, answered
from unisid.runtime.http.server import Server

PATH = "/webhooks/mlflow"
SECRET = "UNISID_SERVE_WEBHOOK_SECRET"
"""The environment variable with the webhook's secret; unset: there are no webhooks."""
SIGNATURE, IDENTITY, TIMESTAMP = "X-MLflow-Signature", "X-MLflow-Delivery-Id", "X-MLflow-Timestamp"
AGE = 300
"""Seconds by which a webhook's time may differ from this machine's."""
MOST = 1 << 16
"""Most bytes of a webhook's body."""
ALIAS = "model_version_alias"


def route(app: FastAPI, server: Server) -> None:
    """Add the route, which needs a signature in place of the server's token."""

    @app.post(PATH, status_code=202, include_in_schema=False)
    async def promoted(request: Request) -> Response:
        """Look at the registry at once, where an alias of a model that is followed moved."""
        event = read(request.headers, await request.body(), os.environ.get(SECRET, ""), time.time())
        name = event["data"].get("name") if event.get("entity") == ALIAS else None
        looks = isinstance(name, str) and await asyncio.to_thread(server.alias_moved, name)
        return answered({"looks": looks}, 202)


def read(headers: Headers, body: bytes, secret: str, now: float) -> dict[str, Any]:
    """The event of a webhook.

    Raises:
        RefusedError: there is no secret, the signature or the time is wrong, or the body is no event.
    """
    if not secret:
        raise RefusedError(403, "webhook", f"this server takes no webhooks; {SECRET} is not set where it runs")
    if len(body) > MOST:
        raise RefusedError(413, "body", f"body: is too large; must have at most {MOST:,} bytes")
    identity, timestamp = headers.get(IDENTITY, ""), headers.get(TIMESTAMP, "")
    expected = signature(secret, identity, timestamp, body)
    if not hmac.compare_digest(headers.get(SIGNATURE, "").encode("latin-1"), expected.encode()):
        raise RefusedError(401, "signature", f"{SIGNATURE}: is not that of the secret of {SECRET}")
    if not timestamp.isdecimal() or not abs(int(timestamp[:20]) - now) <= AGE:
        raise RefusedError(
            401, "signature", f"{TIMESTAMP}: differs by more than {AGE} seconds from this machine's time"
        )
    try:
        event = json.loads(body)
    except ValueError:
        raise RefusedError(400, "json", "body: is no JSON") from None
    if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
        raise RefusedError(422, "body", "body: is no event of MLflow's; must have `entity` and `data`")
    return event


def signature(secret: str, identity: str, timestamp: str, body: bytes) -> str:
    """The signature that MLflow sends as `X-MLflow-Signature`."""
    signed = b".".join((identity.encode("latin-1"), timestamp.encode("latin-1"), body))
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
