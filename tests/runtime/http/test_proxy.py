"""A lost replica costs a second try or a refusal in words; what the application says is passed on as it is."""

import asyncio
import json

import pytest

from unisid.runtime.http.proxy import TRIES, InWords, middlewares


def start(status, kind):
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]}


def body(content):
    return {"type": "http.response.body", "body": content}


class App:
    """Reads the request, and answers as the next of `turns` says; None: it is lost without a word."""

    def __init__(self, *turns):
        self.turns, self.read = list(turns), []

    async def __call__(self, scope, receive, send):
        self.read.append([(await receive())["body"], (await receive())["body"]])
        for message in self.turns.pop(0) or ():
            await send(message)


def sent(app, method="POST", path="/recommend"):
    """Status, content type and body that a client gets."""
    source = [{"type": "http.request", "body": text, "more_body": text == b"one"} for text in (b"one", b"two")]
    found = []

    async def receive():
        return source.pop(0)

    async def send(message):
        found.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": []}
    asyncio.run(InWords(app)(scope, receive, send))
    first, *rest = found
    kinds = dict(first["headers"])
    return first["status"], kinds[b"content-type"], b"".join(message["body"] for message in rest)


ANSWER = (start(200, b"application/json"), body(b"{"), body(b"}"))


def test_what_only_reads_is_sent_again_whole():
    app = App(None, None, ANSWER)
    assert sent(app) == (200, b"application/json", b"{}")
    assert app.read == [[b"one", b"two"]] * 3
    assert sent(App(None, (start(200, b"text/plain"), body(b"x"))), "GET", "/metrics") == (200, b"text/plain", b"x")


@pytest.mark.parametrize(
    ("turns", "path", "status", "code"),
    [
        ([None] * TRIES, "/recommend", 503, "lost"),
        ([None], "/items", 503, "lost"),  # it may have been done
        ([(start(500, b"text/plain"), body(b"Internal"))], "/clicks", 503, "lost"),
        ([(start(408, b"text/plain"), body(b"timed out"))], "/recommend", 504, "late"),
        ([(start(503, b"text/plain"), body(b"no replica"))], "/recommend", 503, "full"),
    ],
)
def test_the_rest_is_refused_in_words(turns, path, status, code):
    app = App(*turns)
    found, kind, text = sent(app, path=path)
    assert (found, kind) == (status, b"application/json")
    assert json.loads(text)["error"]["code"] == code
    assert app.turns == []


def test_refusals_of_the_application_stay():
    said = b'{"error":{"code":"queue","message":"full"}}'
    assert sent(App((start(503, b"application/json"), body(said)))) == (503, b"application/json", said)
    assert sent(App((start(404, b"text/plain"), body(b"no")))) == (404, b"text/plain", b"no")


def test_other_connections_pass():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(middlewares()[0].cls(app)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
