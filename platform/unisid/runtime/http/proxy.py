"""What Ray Serve's proxy does when a replica is lost: requests that only read are tried again, refusals are JSON.

Serve's own proxy answers a request whose replica was killed with an empty 500, and one that waited too long with a line
of text. Ray reads `middlewares` where RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH names it.
"""

from collections.abc import Iterable

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unisid.runtime.http.refusal import RefusedError

TRIES = 3
"""Times that a request which only reads is sent to a replica."""
LOST = RefusedError(503, "lost", "the process that worked on the request was lost; send it again", {"Retry-After": "1"})
LATE = RefusedError(504, "late", "no process answered in time; send it again later", {"Retry-After": "5"})
FULL = RefusedError(503, "full", "no process is free or ready; send it again later", {"Retry-After": "1"})
WORDS = {500: LOST, 408: LATE, 503: FULL}
"""A status of the proxy's own -> what is sent in its place."""


def middlewares() -> list[Middleware]:
    """For Serve's proxy."""
    return [Middleware(InWords)]


class InWords:
    """Sends what the application answers, and refusals as JSON where it could not answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        again = Replayed(receive)
        for left in reversed(range(TRIES if _only_reads(scope) else 1)):
            answer = Answer(send)
            await self.app(scope, again.receive, answer.send)
            if answer.begun:
                return
            if answer.status != 500 or not left:
                break
            again.restart()
        await WORDS[answer.status].response()(scope, receive, send)


class Replayed:
    """The messages of a request, which can be read from the beginning again."""

    def __init__(self, receive: Receive) -> None:
        self.source = receive
        self.read: list[Message] = []
        self.next = 0

    async def receive(self) -> Message:
        if self.next == len(self.read):
            self.read.append(await self.source())
        self.next += 1
        return self.read[self.next - 1]

    def restart(self) -> None:
        """Begin with the first message again."""
        self.next = 0


class Answer:
    """Passes an application's answer on; holds back what the proxy says in its place."""

    def __init__(self, send: Send) -> None:
        self.target = send
        self.begun = False
        """Whether the client was sent anything."""
        self.status = 500
        """Of what was held back; 500 where there was nothing at all."""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and not self.begun:
            self.status = message["status"]
            self.begun = self.status not in WORDS or _is_json(message.get("headers", ()))
        if self.begun:
            await self.target(message)


def _only_reads(scope: Scope) -> bool:
    return scope["method"] in ("GET", "HEAD") or scope["path"].rstrip("/").endswith("/recommend")


def _is_json(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == b"content-type" and value.startswith(b"application/json") for name, value in headers)
