"""ASGI middleware: token, size and time limits of requests; errors without tracebacks."""

import asyncio
import hmac
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unisid.runtime.http.measures import Measures
from unisid.runtime.http.refusal import RefusedError
from unisid.runtime.http.webhook import PATH
from unisid.serving.settings import TOKEN, Serving

OPEN = ("/healthz", "/", PATH)
"""Paths that need no token: they say nothing of the shop, or need a signature."""
FAULT = "this is a fault of unisid; its log has more"
LOG = logging.getLogger("unisid.http")


@dataclass
class Guard:
    """An application with these limits."""

    app: ASGIApp
    settings: Serving
    token: str
    """What a request must carry; empty for nothing."""
    measures: Measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent, began = _Sent(send), time.perf_counter()
        try:
            await self._answer(scope, receive, sent)
        except RefusedError as refusal:
            await sent.refuse(scope, receive, refusal)
        except Exception:
            LOG.exception("a request failed")
            await sent.refuse(scope, receive, RefusedError(500, "fault", FAULT))
        path = getattr(scope.get("route"), "path", "other")
        self.measures.requests.labels(path, str(sent.status)).inc()
        self.measures.seconds.labels(path).observe(time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if self.token and scope["path"] not in OPEN:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            same = hmac.compare_digest(given.strip().encode("latin-1"), self.token.encode())
            if scheme.lower() != "bearer" or not same:
                raise RefusedError(
                    401,
                    "token",
                    f"must carry the token of {TOKEN}: Authorization: Bearer ...",
                    {"WWW-Authenticate": "Bearer"},
                )
        try:
            async with asyncio.timeout(self.settings.timeout):
                body = await self._body(headers, receive)
        except TimeoutError:
            raise RefusedError(408, "slow", f"body: not whole after {self.settings.timeout:g} seconds") from None
        try:
            async with asyncio.timeout(self.settings.timeout):
                await self.app(scope, _Replay(body, receive), send)
        except TimeoutError:
            text = f"no answer after {self.settings.timeout:g} seconds; ask for fewer rows, or again later"
            raise RefusedError(504, "late", text) from None

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        most, said = self.settings.most_body, headers.get("content-length", "0")
        if said.isdecimal() and int(said[:20]) > most:
            raise self._too_large()
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RefusedError(400, "left", "the client left before its body was whole")
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > most:
                raise self._too_large()
        return bytes(body)

    def _too_large(self) -> RefusedError:
        return RefusedError(
            413,
            "body",
            f"body: is too large; must have at most {self.settings.most_body:,} bytes",
            {"Connection": "close"},
        )


class _Replay:
    """Replays a request body that was read already."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self.messages: Iterator[Message] = iter([{"type": "http.request", "body": body, "more_body": False}])
        self.receive = receive

    async def __call__(self) -> Any:
        for message in self.messages:
            return message
        return await self.receive()


class _Sent:
    """Passes messages on, and remembers the status that was sent."""

    def __init__(self, send: Send) -> None:
        self.send, self.status = send, 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self.send(message)

    async def refuse(self, scope: Scope, receive: Receive, refusal: RefusedError) -> None:
        """Send a refusal, unless an answer has begun."""
        if not self.status:
            await refusal.response()(scope, receive, self)
